//! A `Consent` that somebody sends: a change of the family's consent, exactly as it is stated, or refused.
//!
//! It is made by the desk while it acts for the family. A family with keys of its own signs at home: nothing that
//! comes over FHIR bears its signature. Nothing of it is kept as a document.

use super::CONSENT;
use super::consent::ConsentId;
use super::consent_names::Known;
use crate::consent_change::{ConsentChange, ConsentDesk, ConsentQuery, GrantDraft};
use crate::custodian::{Custodian, Standing};
use crate::error::{Conflict, Error, Problem};
use crate::fhir::read::unknown;
use crate::fhir::{
    FhirAct, FhirOutcome, FhirResource, FhirTarget, FhirTransact, FhirWrite, FhirWritten,
};
use crate::record::Content;
use ::fhir::Parsed;
use codec::id::{RecordId, SubjectId};
use consent::{ConsentState, Exception, Grant, Purpose, Role};
use institution_policy::Action;
use json::{Edits, quote};
use mirror::Stated;
use std::collections::BTreeSet;
use store::Store;

/// How often what a Consent names is looked up: what is named first may lead to more.
const LOOKUPS: usize = 4;

/// What a write comes to.
enum Meant {
    /// This says so already.
    Already(ConsentId),
    Change(Vec<ConsentChange>),
}

/// The answer to a Consent among the entries of a transaction.
pub(crate) fn not_atomic(at: usize) -> Error {
    Error::invalid(
        "FHIR Bundle",
        &format!("Bundle.entry[{at}]"),
        "a Consent changes what is on the ledger, which a transaction cannot take back: send it by itself, or in \
         a batch",
    )
}

impl<S: Store> Custodian<S> {
    /// Changes consent as a write of a Consent says.
    pub(crate) async fn consent_written(
        &self,
        input: &FhirTransact,
        write: &FhirWrite,
    ) -> Result<FhirWritten, Error> {
        let caller = &input.asker.caller;
        self.own_staff(caller)?;
        self.in_service()?;
        if caller.has(Role::Controller) && !caller.has(Role::Desk) {
            return Err(at_home());
        }
        caller.needs("changing consent for a family", &[Role::Desk])?;
        let (stated, named) = match &write.act {
            FhirAct::Create {
                if_none_exist: Some(_),
                ..
            } => return Err(invalid("", "a Consent is not sent on condition")),
            FhirAct::Create { content, .. } => {
                (Some(self.stated(input, content, None).await?), None)
            }
            FhirAct::Patch { .. } => {
                return Err(invalid("", "a Consent is not patched; send it whole"));
            }
            FhirAct::Update {
                content, target, ..
            } => {
                let id = self.consent_named(input, target).await?;
                (Some(self.stated(input, content, Some(id)).await?), Some(id))
            }
            FhirAct::Delete { target, .. } => {
                (None, Some(self.consent_named(input, target).await?))
            }
        };
        let subject = match (&stated, named) {
            (Some(stated), named) => {
                let subject = subject_of(stated);
                if named.is_some_and(|id| id.subject() != subject) {
                    return Err(invalid(
                        "Consent.patient",
                        "this is another patient's consent",
                    ));
                }
                subject
            }
            (None, Some(id)) => id.subject(),
            (None, None) => return Err(Error::Internal("a write that writes nothing")),
        };
        let confined = self.fhir_confined(&input.asker).await?;
        if confined.is_some_and(|own| own != subject) {
            return Err(Error::OutOfScope);
        }
        if let Some(Stated::Grant(draft)) = &stated {
            self.excepted(&subject, &draft.exceptions).await?;
        }
        let standing = self.standing(&subject).await?;
        if !standing.latest().assisted {
            return Err(at_home());
        }
        self.consent_current(&standing, write, named).await?;
        let is_known = match named {
            None => false,
            Some(id) => self.consent_of(&standing, &id).await?.is_some(),
        };
        let action = match (write.act.is_deletion(), is_known) {
            (true, _) => Action::Delete,
            (false, true) => Action::Update,
            (false, false) => Action::Create,
        };
        self.house_lets(caller, action, CONSENT)?;
        let meant = match &stated {
            Some(stated) => meant(&standing, stated, named, is_known)?,
            None => self.revoked(&standing, named).await?,
        };
        let (changed, id) = match meant {
            Meant::Already(id) => {
                // Nothing is changed; it is shown, and so logged as that.
                let caller = caller.clone();
                self.consent_seen(&ConsentQuery { caller, subject }).await?;
                (false, id)
            }
            Meant::Change(changes) => {
                let accepted = self
                    .consent_desk(ConsentDesk {
                        caller: caller.clone(),
                        subject,
                        expect_sequence: Some(standing.latest().sequence),
                        changes,
                        wait: input.wait,
                    })
                    .await?;
                let id = match (&stated, named) {
                    (Some(Stated::Grant(_)), None) => {
                        let made = accepted.grants.first().copied();
                        ConsentId::Grant(
                            made.ok_or(Error::Internal("a grant that was not made"))?,
                            subject,
                        )
                    }
                    (Some(stated), _) => id_of(stated, named, subject).ok_or_else(unknown)?,
                    (None, named) => named.ok_or_else(unknown)?,
                };
                (true, id)
            }
        };
        let after = self.standing(&subject).await?;
        let resource = self.consent_of(&after, &id).await?;
        let is_revocation = matches!(stated, None | Some(Stated::Revocation { .. }));
        let outcome = match (write.act.is_deletion(), changed) {
            (true, _) => FhirOutcome::Deleted,
            (false, false) => FhirOutcome::Unchanged,
            (false, true) if is_revocation => FhirOutcome::Updated,
            (false, true) if !is_known => FhirOutcome::Created,
            (false, true) => FhirOutcome::Updated,
        };
        let resource = match outcome {
            FhirOutcome::Deleted => resource.map(|resource| FhirResource {
                content: None,
                ..resource
            }),
            _ => resource,
        };
        Ok(FhirWritten { outcome, resource })
    }

    /// Refuses records that are left out and are not the subject's: leaving them out would leave out nothing.
    async fn excepted(
        &self,
        subject: &SubjectId,
        exceptions: &BTreeSet<Exception>,
    ) -> Result<(), Error> {
        for exception in exceptions {
            let Exception::Record(record) = exception else {
                continue;
            };
            match self.vault.record_meta(subject, record, None).await {
                Ok(_) => {}
                Err(vault::Error::RecordUnknown(_)) => {
                    let said =
                        "a record that is left out is not this patient's; refer to one of theirs";
                    return Err(invalid("Consent.provision", said));
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Which Consent a write names. A document that was stored once is no consent, and stays as it is.
    async fn consent_named(
        &self,
        input: &FhirTransact,
        target: &FhirTarget,
    ) -> Result<ConsentId, Error> {
        let FhirTarget::Id(id) = target else {
            return Err(invalid("", "name the Consent by its id"));
        };
        if let Some(id) = self.consent_id(&input.asker, id).await? {
            return Ok(id);
        }
        if self.fhir_place(CONSENT, id).await?.is_some() {
            let said =
                "this is a document that was stored, not a consent in force; it is only read";
            return Err(invalid("", said));
        }
        Err(unknown())
    }

    /// Whether the version that a write builds on is the current one.
    async fn consent_current(
        &self,
        standing: &Standing,
        write: &FhirWrite,
        named: Option<ConsentId>,
    ) -> Result<(), Error> {
        let expected = match &write.act {
            FhirAct::Update { if_match, .. } | FhirAct::Delete { if_match, .. } => *if_match,
            FhirAct::Create { .. } | FhirAct::Patch { .. } => None,
        };
        let (Some(expected), Some(id)) = (expected, named) else {
            return Ok(());
        };
        let current = self.consent_of(standing, &id).await?;
        let version = current.map_or(0, |current| current.version);
        if version == expected {
            return Ok(());
        }
        let record = match id {
            ConsentId::Grant(grant, _) => grant.into_bytes(),
            _ => [0; RecordId::LEN],
        };
        Err(Conflict::Version {
            record: RecordId::new(record),
            version,
        }
        .into())
    }

    /// What a deletion comes to.
    async fn revoked(&self, standing: &Standing, named: Option<ConsentId>) -> Result<Meant, Error> {
        let id = named.ok_or_else(unknown)?;
        let latest = standing.latest();
        Ok(match id {
            ConsentId::Grant(grant, _) if latest.grant(&grant).is_some() => {
                Meant::Change(vec![ConsentChange::GrantRevoke(grant)])
            }
            ConsentId::Grant(..) => {
                // Over already, or never there.
                self.consent_of(standing, &id).await?.ok_or_else(unknown)?;
                Meant::Already(id)
            }
            ConsentId::OptOuts(_) => opted(latest, &BTreeSet::new(), true),
            ConsentId::Restriction(_) if latest.restricted => {
                Meant::Change(vec![ConsentChange::Restrict(false)])
            }
            ConsentId::Restriction(_) => Meant::Already(id),
        })
    }

    /// What a Consent states, with everything in it that is known here looked up.
    async fn stated(
        &self,
        input: &FhirTransact,
        content: &Content,
        named: Option<ConsentId>,
    ) -> Result<Stated, Error> {
        let bytes = addressed(content, named)?;
        let mut known = Known::new(self.id);
        for _ in 0..LOOKUPS {
            let read = mirror::consent_read(&bytes, &known);
            let asked = known.asked();
            if asked.is_empty() {
                return read.map_err(|issues| Error::Invalid {
                    what: "FHIR Consent",
                    problems_found: issues
                        .into_iter()
                        .map(|issue| Problem {
                            path: issue.expression.first().cloned().unwrap_or_default(),
                            message: issue.diagnostics.unwrap_or_default(),
                        })
                        .collect(),
                });
            }
            for name in asked {
                let found = self.consent_name(&input.asker, &name).await?;
                known.learn(name, found);
            }
        }
        Err(invalid("", "it names too much that leads to more names"))
    }
}

/// The resource under the id that it was sent to, which must be its own: there a grant's own id.
fn addressed(content: &Content, named: Option<ConsentId>) -> Result<Vec<u8>, Error> {
    let whole = || content.as_bytes().to_vec();
    let refused = |error: ::fhir::Error| invalid("", &error.to_string());
    let parsed = Parsed::parse(content.as_bytes()).map_err(refused)?;
    if parsed.resource_type() != CONSENT {
        return Err(invalid(
            "resourceType",
            "it is not a Consent, as the address says",
        ));
    }
    let Some(named) = named else {
        return Ok(whole());
    };
    let own = parsed.id();
    let is_own = |own: &str| match named {
        ConsentId::Grant(grant, _) => own == named.text() || own == grant.to_string(),
        _ => own == named.text(),
    };
    if !own.is_some_and(|own| is_own(&own)) {
        return Err(invalid("Consent.id", "it is not the id in the address"));
    }
    let ConsentId::Grant(grant, _) = named else {
        return Ok(whole());
    };
    let document = json::parse(content.as_bytes(), &json::Limits::default())
        .map_err(|error| invalid("", &error.to_string()))?;
    let mut edits = Edits::new();
    let id = quote(&grant.to_string());
    edits.set_members(document.root(), None, &[("id", id)]);
    edits
        .apply(&document)
        .map_err(|_| Error::Internal("an id that could not be put in"))
}

/// What a Consent comes to. `is_known`: there is one under the id that it was sent to.
fn meant(
    standing: &Standing,
    stated: &Stated,
    named: Option<ConsentId>,
    is_known: bool,
) -> Result<Meant, Error> {
    let latest = standing.latest();
    let subject = latest.subject;
    Ok(match (stated, named) {
        (Stated::Grant(draft), None) => {
            let is = |grant: &&Grant| draft.clone().grant(grant.id) == **grant;
            match latest.grants.iter().find(is) {
                Some(stands) => Meant::Already(ConsentId::Grant(stands.id, subject)),
                None => Meant::Change(vec![ConsentChange::GrantAdd(GrantDraft {
                    grantee: draft.grantee.clone(),
                    purposes: draft.purposes.clone(),
                    categories: draft.categories.clone(),
                    from: draft.from,
                    until: draft.until,
                    exceptions: draft.exceptions.clone(),
                })]),
            }
        }
        (Stated::Grant(draft), Some(ConsentId::Grant(id, _))) => {
            let stands = latest.grant(&id).ok_or_else(|| {
                invalid(
                    "Consent.id",
                    "no such grant stands; ids of grants are given here: send it with POST",
                )
            })?;
            let same = draft.id.is_none_or(|own| own == id) && draft.clone().grant(id) == *stands;
            if !same {
                return Err(invalid(
                    "Consent.provision",
                    "a grant is not changed: send the new one with POST, then revoke this one",
                ));
            }
            Meant::Already(ConsentId::Grant(id, subject))
        }
        (Stated::OptOuts { purposes, .. }, None) => opted(latest, purposes, false),
        (Stated::OptOuts { purposes, .. }, Some(ConsentId::OptOuts(_))) => {
            opted(latest, purposes, true)
        }
        (Stated::Restriction { .. }, None | Some(ConsentId::Restriction(_))) => {
            match latest.restricted {
                true => Meant::Already(ConsentId::Restriction(subject)),
                false => Meant::Change(vec![ConsentChange::Restrict(true)]),
            }
        }
        (Stated::Revocation { grant, .. }, named) => {
            if named.is_some_and(|id| id != ConsentId::Grant(*grant, subject)) {
                return Err(invalid(
                    "Consent.identifier",
                    "this is not the grant in the address",
                ));
            }
            match latest.grant(grant) {
                Some(_) => Meant::Change(vec![ConsentChange::GrantRevoke(*grant)]),
                None if is_known => Meant::Already(ConsentId::Grant(*grant, subject)),
                None => return Err(Error::Unknown("grant in the consent state")),
            }
        }
        _ => {
            return Err(invalid(
                "Consent.policy",
                "this is another kind of consent than the one in the address",
            ));
        }
    })
}

/// The changes to opt-outs; those that are not named any more are taken back only if all are named.
fn opted(latest: &ConsentState, named: &BTreeSet<Purpose>, is_all: bool) -> Meant {
    let before = &latest.opted_out;
    let more = named.difference(before).copied();
    let mut changes: Vec<ConsentChange> = more.map(ConsentChange::OptOut).collect();
    if is_all {
        changes.extend(before.difference(named).copied().map(ConsentChange::OptIn));
    }
    match changes.is_empty() {
        true => Meant::Already(ConsentId::OptOuts(latest.subject)),
        false => Meant::Change(changes),
    }
}

fn subject_of(stated: &Stated) -> SubjectId {
    match stated {
        Stated::Grant(draft) => draft.subject,
        Stated::OptOuts { subject, .. }
        | Stated::Restriction { subject }
        | Stated::Revocation { subject, .. } => *subject,
    }
}

fn id_of(stated: &Stated, named: Option<ConsentId>, subject: SubjectId) -> Option<ConsentId> {
    match stated {
        Stated::Grant(_) => named,
        Stated::OptOuts { .. } => Some(ConsentId::OptOuts(subject)),
        Stated::Restriction { .. } => Some(ConsentId::Restriction(subject)),
        Stated::Revocation { grant, .. } => Some(ConsentId::Grant(*grant, subject)),
    }
}

fn at_home() -> Error {
    Error::ChangeRefused(
        "the family decides with keys of its own and signs at home: prepare the change at \
         /v1/subjects/{subject}/consent/prepare, sign it (`ithaca subject sign`), and submit it at \
         /v1/subjects/{subject}/consent"
            .to_owned(),
    )
}

fn invalid(path: &str, message: &str) -> Error {
    Error::invalid("FHIR Consent", path, message)
}
