//! A group of a release: what its subjects share, their measurements, and tokens for asking them again.

use super::cohort::{Admitted, Asker, Logged, Part};
use super::held::NOBODY;
use super::make::{CHANGED, Gathered, Stopped};
use super::rows::ReleaseRow;
use crate::custodian::Custodian;
use crate::differential::Insight;
use crate::error::Error;
use ::release::{Group, Measures, OfSubject, Unit};
use codec::id::SubjectId;
use deident::{Fates, Rules};
use ontology::{DiseaseId, HpoId, Ontology};
use std::collections::VecDeque;
use store::Store;

impl<S: Store> Custodian<S> {
    /// A group, with its measurements and tokens; and how many measurements are not told. Adds what became of
    /// each element of the Observations.
    pub(super) async fn group_of(
        &self,
        insight: &Insight,
        asker: &Asker,
        row: &ReleaseRow,
        gathered: &Gathered,
        (number, cluster): (u64, &extract::Cluster),
        fates: &mut Fates,
    ) -> Result<(Group, u64), Stopped> {
        let ontology = insight.ontology();
        let mut group = Group::of(
            ::release::check::name(number),
            &cluster.profile,
            &|term| label(ontology, term),
            &|disease| disease_name(ontology, disease),
        );
        let candidates = cluster.members.iter();
        let members: Vec<&Admitted> = candidates
            .filter_map(|at| gathered.candidates.get(*at as usize))
            .map(|candidate| &candidate.admitted)
            .collect();
        let key = self.study_key(&row.study);
        let mut measures = Measures::new(row.k);
        if row.measurements {
            self.measure(asker, row, &members, &mut measures, fates)
                .await?;
        }
        let mut tokens: Vec<Vec<u8>> = Vec::new();
        for member in &members {
            if self.may_be_asked(asker, &member.subject).await? {
                tokens.push(self.token(&key, &member.subject)?);
            }
        }
        // Some that stand for nobody, so that their number tells nothing; in an order that tells nothing.
        if !tokens.is_empty() {
            let k = row.k.max(1) as usize;
            while !tokens.len().is_multiple_of(k) {
                tokens.push(self.token(&key, &NOBODY)?);
            }
            tokens.sort();
        }
        group.recontact = tokens
            .iter()
            .map(|token| codec::hex::encode(token))
            .collect();
        let (measured, withheld) = measures.finish();
        group.measured = measured;
        Ok((group, withheld as u64))
    }

    fn token(&self, key: &deident::StudyKey, subject: &SubjectId) -> Result<Vec<u8>, Error> {
        let mut entropy = self.ambient.entropy();
        key.seal_recontact(subject.as_bytes(), &mut entropy)
            .map(|token| token.to_vec())
            .map_err(|_| Error::Internal("a token cannot be sealed"))
    }

    /// Whether a subject's consent permits a study its identity, and so to be asked again.
    async fn may_be_asked(&self, asker: &Asker, subject: &SubjectId) -> Result<bool, Error> {
        let standing = match self.standing(subject).await {
            Ok(standing) => standing,
            Err(Error::SubjectErased | Error::SubjectUnknown) => return Ok(false),
            Err(error) => return Err(error),
        };
        Ok(self.identity_request(asker, subject, &standing)?.1)
    }

    /// Adds the measurements of a group's members: a reading of its own, decided and logged before it is done.
    async fn measure(
        &self,
        asker: &Asker,
        row: &ReleaseRow,
        members: &[&Admitted],
        measures: &mut Measures,
        fates: &mut Fates,
    ) -> Result<(), Stopped> {
        let key = self.study_key(&row.study);
        let mut waiting: VecDeque<SubjectId> = members.iter().map(|one| one.subject).collect();
        let mut expected = members.iter();
        while !waiting.is_empty() {
            let readings = self
                .readings(asker, &mut waiting, "release", Part::Measurements)
                .await?;
            // INVARIANT: nothing is opened before it is in the log.
            for one in self.readings_log(readings).await? {
                // Clustering took its time: whoever withdrew meanwhile is not opened again.
                let (subject, reach) = (one.admitted.subject, one.admitted.reach);
                let is_next = expected.next().map(|next| next.subject) == Some(subject);
                if !is_next || !self.still_as_far(asker, &subject, &reach).await? {
                    return Err(Stopped::Refused(CHANGED.to_owned()));
                }
                measures.subject(self.measured(&key, row, one, fates).await?);
            }
        }
        match expected.next() {
            Some(_) => Err(Stopped::Refused(CHANGED.to_owned())),
            None => Ok(()),
        }
    }

    /// The values of a subject's Observations, as the rules of de-identification leave them.
    async fn measured(
        &self,
        key: &deident::StudyKey,
        row: &ReleaseRow,
        one: Logged,
        fates: &mut Fates,
    ) -> Result<OfSubject, Error> {
        let subject = one.admitted.subject;
        let mut values = OfSubject::default();
        let rules = Rules::shipped();
        let at = row
            .asked
            .date()
            .ok_or(Error::Internal("a time without a date"))?;
        for plan in one.plans {
            let opened = match self.open(&subject, plan).await {
                Ok(opened) => opened,
                Err(Error::SubjectErased | Error::SubjectUnknown) => break,
                Err(error) => return Err(error),
            };
            for (_, contents) in crate::differential::documents(&[opened], None) {
                for content in contents {
                    // It is in this subject's compartment: whatever it calls its patient is this subject.
                    let patient = patient_of(content.as_bytes());
                    let patients: Vec<&str> = patient.as_deref().into_iter().collect();
                    let cloak = key.subject(subject.as_bytes(), &patients);
                    let left = rules.resource(&cloak, at, content.as_bytes(), fates);
                    let left: Option<serde_json::Value> = left
                        .ok()
                        .and_then(|left| serde_json::from_slice(&left).ok());
                    if let Some(left) = left {
                        values_of(&left, &mut values);
                    }
                }
            }
        }
        Ok(values)
    }
}

fn label(ontology: &Ontology, term: HpoId) -> String {
    let term = ontology.live(term).map(|ix| ontology.term(ix).label());
    term.unwrap_or_default().to_owned()
}

fn disease_name(ontology: &Ontology, disease: DiseaseId) -> String {
    let found = ontology.find_disease(disease);
    let name = found.map(|ix| ontology.disease(ix).name());
    name.unwrap_or_default().to_owned()
}

/// The id of the Patient that an Observation names.
fn patient_of(observation: &[u8]) -> Option<String> {
    let read: serde_json::Value = serde_json::from_slice(observation).ok()?;
    let reference = read["subject"]["reference"].as_str()?;
    let (_, id) = reference.rsplit_once("Patient/")?;
    Some(id.split('/').next()?.to_owned())
}

/// The values of a de-identified Observation and its components.
pub(super) fn values_of(observation: &serde_json::Value, values: &mut OfSubject) {
    let parts = observation["component"].as_array();
    for part in std::iter::once(observation).chain(parts.into_iter().flatten()) {
        let quantity = &part["valueQuantity"];
        let ucum = quantity["system"] == "http://unitsofmeasure.org";
        let (Some(value), Some(unit), true) =
            (quantity["value"].as_f64(), quantity["code"].as_str(), ucum)
        else {
            continue;
        };
        // A comparator says that the value is another one.
        if !quantity["comparator"].is_null() {
            continue;
        }
        let codings = part["code"]["coding"].as_array();
        let coding = codings.into_iter().flatten().next();
        let text = |name: &str| {
            let found = coding.and_then(|coding| coding[name].as_str());
            found.map(str::to_owned)
        };
        if let (Some(system), Some(code)) = (text("system"), text("code")) {
            let unit = unit.to_owned();
            values.add(Unit { system, code, unit }, value);
        }
    }
}
