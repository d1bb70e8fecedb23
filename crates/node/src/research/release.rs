//! Releases: asked for by a researcher, made and attacked by the node, certified by the committee, put on the
//! ledger, read by who may.

use super::content::{Content, PIECE};
use super::make::{FATES, KEPT};
use super::rows::{CohortRow, ReleaseRow, ReleaseState, format_code};
use super::study::{named, person};
use super::{
    ReleaseCertify, ReleaseCohort, ReleasePiece, ReleasePrepare, ReleaseQuery, ReleaseRead,
    ReleaseReplayed, ReleaseStanding, ReleaseView, StudyQuery,
};
use crate::caller::Caller;
use crate::custodian::Custodian;
use crate::error::{Conflict, Error};
use ::release::check::BESIDE;
use ::release::{Certificate, Manifest, Tier};
use codec::id::{DisclosureId, StudyId};
use consent::{Role, StudyStatus};
use ledger::entry::{Entry, StudyRelease};
use ledger::release::ReleaseProof;
use ledger::state::{ReleaseLeaf, StateKey, StudyLeaf};
use store::Store;
use vault::{EntryPurpose, Signed};

/// The largest k, and so the smallest use of a release.
const K_MAX: u32 = 1_000;
/// The most releases of one study that may be refused within [`REFUSED_WITHIN_MS`].
const REFUSED_MAX: usize = 16;
const REFUSED_WITHIN_MS: u64 = 30 * 86_400_000;
/// The most diagnoses that a cohort names.
const DISEASES_MAX: usize = 256;

/// Who may look at releases and have them.
const READERS: [Role; 4] = [
    Role::Researcher,
    Role::Committee,
    Role::PrivacyOfficer,
    Role::Auditor,
];

/// Who watches over releases.
const WATCHERS: [Role; 3] = [Role::Committee, Role::PrivacyOfficer, Role::Auditor];

impl<S: Store> Custodian<S> {
    /// Asks for a release: it is made and attacked in the background.
    pub(crate) async fn release_prepare(
        &self,
        input: ReleasePrepare,
    ) -> Result<ReleaseView, Error> {
        let study = self.study_open_for(&input.study, &input.caller).await?;
        if self.insight.is_none() {
            return Err(super::count::unknowing());
        }
        let least = u32::from(study.limits.k);
        if input.k < least || input.k > K_MAX {
            return Err(Error::invalid(
                "release",
                "k",
                format!("k goes from the study's {least} to {K_MAX}"),
            ));
        }
        if input.tier == Tier::T3 && study.agreement.is_none() {
            return Err(Error::Conflict(Conflict::Done(
                "groups of subjects leave only under a data-use agreement, and the study has none",
            )));
        }
        let cohort = match &input.cohort {
            ReleaseCohort::Diagnosed => CohortRow::Diagnosed,
            ReleaseCohort::Everybody => CohortRow::Everybody,
            ReleaseCohort::Diseases(diseases) => {
                let known = |id: &String| {
                    self.insight
                        .as_ref()
                        .is_some_and(|insight| insight.knowledge.disease(id).is_some())
                };
                let fits = !diseases.is_empty() && diseases.len() <= DISEASES_MAX;
                if !fits || !diseases.iter().all(known) {
                    return Err(Error::invalid(
                        "release",
                        "cohort",
                        format!("name 1 to {DISEASES_MAX} diseases by their OMIM or ORPHA ids"),
                    ));
                }
                CohortRow::Diseases(diseases.clone())
            }
        };
        let _turn = self.studies_turn.lock().await;
        let rows = self.release_rows(Some(&input.study)).await?;
        if rows.iter().any(ReleaseRow::is_under_way) {
            return Err(Error::Conflict(Conflict::Done(
                "a release of this study is under way; certify or refuse it first",
            )));
        }
        // A refusal tells something of who is here: whether so few have a disease. That is not for asking at will.
        let at = self.now();
        let lately = rows.iter().filter(|row| {
            matches!(row.state, ReleaseState::Refused(_)) && at.since(row.asked) < REFUSED_WITHIN_MS
        });
        if lately.count() >= REFUSED_MAX {
            return Err(Error::Spent(format!(
                "{REFUSED_MAX} releases of this study were refused within 30 days; ask the committee, or later"
            )));
        }
        // One that was refused has no number on the ledger; its row is kept under the next free one.
        let number = rows.iter().map(|row| row.number + 1).max().unwrap_or(0);
        let row = ReleaseRow {
            id: DisclosureId::new(self.ambient.random()),
            study: input.study,
            number,
            by: person(&input.caller.actor),
            roles: input.caller.actor.roles.clone(),
            asked: self.now(),
            tier: match input.tier {
                Tier::T2 => 2,
                Tier::T3 => 3,
            },
            k: input.k,
            cohort,
            formats: input.formats.iter().copied().map(format_code).collect(),
            measurements: input.measurements,
            seed: u64::from_be_bytes(self.ambient.random()),
            state: ReleaseState::Preparing,
            population: None,
            content: None,
            certificate: None,
        };
        let read = self.release_row_put(None, row).await?;
        self.wakes.releases.wake();
        self.release_shown(&read.row, &input.caller).await
    }

    /// A release as it stands.
    pub(crate) async fn release_show(&self, input: ReleaseQuery) -> Result<ReleaseView, Error> {
        self.release_reader(&input.study, &input.caller).await?;
        let read = self.release_row(&input.study, input.number).await?;
        self.release_shown(&read.row, &input.caller).await
    }

    /// The releases of a study.
    pub(crate) async fn release_list(&self, input: StudyQuery) -> Result<Vec<ReleaseView>, Error> {
        self.release_reader(&input.study, &input.caller).await?;
        let mut shown = Vec::new();
        for row in self.release_rows(Some(&input.study)).await? {
            shown.push(self.release_shown(&row, &input.caller).await?);
        }
        Ok(shown)
    }

    /// The committee's word: certified, the release goes to the ledger; otherwise it is refused. One whose
    /// certificate says that a limit was exceeded cannot be certified; nor one of whose subjects somebody's
    /// consent ended since.
    pub(crate) async fn release_certify(
        &self,
        input: ReleaseCertify,
    ) -> Result<ReleaseView, Error> {
        let caller = &input.caller;
        caller.needs("certifying a release", &[Role::Committee])?;
        self.own_staff(caller)?;
        self.in_service()?;
        let read = self.release_row(&input.study, input.number).await?;
        if read.row.by == person(&caller.actor) {
            return Err(Error::Conflict(Conflict::Done(
                "a release is certified by someone other than whoever asked for it",
            )));
        }
        match &read.row.state {
            ReleaseState::Prepared => {}
            ReleaseState::Refused(why) => {
                return Err(Error::Refused(format!("this release was refused: {why}")));
            }
            ReleaseState::Preparing => {
                return Err(Error::Conflict(Conflict::Done(
                    "the release is being made; certify it when its attacks are done",
                )));
            }
            ReleaseState::Publishing(_) | ReleaseState::Released(_) => {
                return Err(Error::Conflict(Conflict::Done("the release was certified")));
            }
        }
        if !input.approve {
            let why = "the committee did not certify it".to_owned();
            let read = self.release_refuse(read, why).await?;
            return self.release_shown(&read.row, caller).await;
        }
        let study = self.study_row(&input.study).await?.row.case;
        if study.status_at(self.facts().at()) != StudyStatus::Open {
            return Err(Error::Conflict(Conflict::Done("the study is over")));
        }
        let certificate = self.certificate_of(&read.row).await?;
        // INVARIANT: what exceeds a limit never leaves, whoever says so.
        if !certificate.verdict.passes {
            return Err(Error::Refused(format!(
                "limits are exceeded: {}",
                certificate.verdict.exceeded.join(", ")
            )));
        }
        if let Some(why) = self.release_obstacle(&read.row).await? {
            self.release_refuse(read, why.to_owned()).await?;
            return Err(Error::Refused(why.to_owned()));
        }
        let signed = self.release_signed(&read.row)?;
        let mut row = read.row.clone();
        row.state = ReleaseState::Publishing(signed.id);
        // The row first: the pump queues the entry, after it looked once more whether all still agree.
        let read = self.release_row_put(Some(&read), row).await?;
        self.wakes.releases.wake();
        self.release_shown(&read.row, caller).await
    }

    /// The ledger's entry of a release that was made.
    fn release_signed(&self, row: &ReleaseRow) -> Result<Signed, Error> {
        let (Some(content), Some(certificate)) = (row.content, row.certificate) else {
            return Err(Error::Internal("a release that was made has no digests"));
        };
        self.sign(&Entry::StudyRelease(StudyRelease {
            institution: self.id,
            study: row.study,
            content,
            certificate,
        }))
    }

    /// Queues the entry of a release that was certified; doing it again changes nothing.
    pub(super) async fn release_queue(&self, row: &ReleaseRow) -> Result<(), Error> {
        let signed = self.release_signed(row)?;
        let purpose = EntryPurpose::Other("study-release".to_owned());
        let mut entropy = self.ambient.entropy();
        self.vault
            .entry_queue(purpose, &signed, self.now(), &mut entropy)
            .await?;
        self.wakes.courier.wake();
        Ok(())
    }

    /// Reads a piece of a file of a release that is on the ledger. Its certificate and manifest can be had by
    /// the committee before, and what became of the records' elements by those who watch over releases.
    pub(crate) async fn release_read(&self, input: ReleaseRead) -> Result<ReleasePiece, Error> {
        self.release_reader(&input.study, &input.caller).await?;
        let row = self.release_row(&input.study, input.number).await?.row;
        if input.file == FATES {
            input.caller.needs("looking at fates", &WATCHERS)?;
            let bytes = self.content_file(&row.id, FATES).await?;
            let bytes = bytes.ok_or(Error::Unknown("file of this release"))?;
            return Ok(piece(&bytes, input.offset));
        }
        let is_released = matches!(row.state, ReleaseState::Released(_));
        let may_before = input.caller.has(Role::Committee)
            && row.content.is_some()
            && KEPT.contains(&input.file.as_str());
        if !is_released && !may_before {
            return Err(Error::Conflict(Conflict::Done(
                "the release is not on the ledger; it can be had once it is",
            )));
        }
        if is_released && input.caller.has(Role::Researcher) && !input.caller.has(Role::Committee) {
            // Who researches has it while the study is open.
            self.study_open_for(&input.study, &input.caller).await?;
        }
        if input.file == BESIDE[2] {
            return Ok(piece(&self.release_proof_kept(&row).await?, input.offset));
        }
        let files = self.release_files(&row).await?;
        let file = files.iter().find(|(name, _)| *name == input.file);
        let (_, length) = file.ok_or(Error::Unknown("file of this release"))?;
        let piece = input.offset / PIECE as u64;
        let bytes = self.content_piece(&row.id, &input.file, piece).await?;
        let skip = usize::try_from(input.offset % PIECE as u64).unwrap_or(0);
        Ok(ReleasePiece {
            bytes: bytes
                .unwrap_or_default()
                .get(skip..)
                .unwrap_or_default()
                .to_vec(),
            length: *length,
        })
    }

    /// Tries the attacks on a release again, on what is still here of its subjects.
    pub(crate) async fn release_replay(
        &self,
        input: ReleaseQuery,
    ) -> Result<ReleaseReplayed, Error> {
        input.caller.needs("repeating attacks", &WATCHERS)?;
        self.own_staff(&input.caller)?;
        self.in_service()?;
        let row = self.release_row(&input.study, input.number).await?.row;
        if matches!(row.state, ReleaseState::Refused(_)) {
            return Err(Error::Conflict(Conflict::Done(
                "the release was refused: what it was made of is not kept",
            )));
        }
        let certificate = self.certificate_of(&row).await?;
        self.replayed(&input.caller, &row, &certificate).await
    }

    /// The proof that a release is on the ledger: the same at every reading, for it is read in pieces.
    async fn release_proof_kept(&self, row: &ReleaseRow) -> Result<Vec<u8>, Error> {
        if let Some(kept) = self.content_file(&row.id, BESIDE[2]).await? {
            return Ok(kept);
        }
        let proof = self.release_proof(row).await?;
        let _turn = self.studies_turn.lock().await;
        // Somebody else may have asked meanwhile.
        if let Some(kept) = self.content_file(&row.id, BESIDE[2]).await? {
            return Ok(kept);
        }
        let mut content = Content::default();
        let pieces = vec![(BESIDE[2], proof.clone())];
        self.content_add(&row.id, &mut content, pieces).await?;
        self.content_finish(&row.id, content).await?;
        Ok(proof)
    }

    /// The proof that a release is on the ledger.
    async fn release_proof(&self, row: &ReleaseRow) -> Result<Vec<u8>, Error> {
        let number = self.number_on_ledger(row)?;
        let study = StateKey::Study(row.study);
        let release = StateKey::Release((row.study, number));
        // Both under one header: the newer one may have moved on in between.
        for _ in 0..4 {
            let of_study = self.proved(self.ledger.state_proof(&study)).await?;
            let of_release = self.proved(self.ledger.state_proof(&release)).await?;
            if of_study.finality != of_release.finality {
                continue;
            }
            let (Some(study_leaf), Some(release_leaf)) = (of_study.value, of_release.value) else {
                return Err(Error::Unavailable(
                    "the ledger does not hold that yet".to_owned(),
                ));
            };
            let study_leaf: StudyLeaf = codec::from_slice(&study_leaf)
                .map_err(|_| Error::Internal("a leaf of the state does not decode"))?;
            let release_leaf: ReleaseLeaf = codec::from_slice(&release_leaf)
                .map_err(|_| Error::Internal("a leaf of the state does not decode"))?;
            return Ok(ReleaseProof {
                study: row.study,
                number,
                study_leaf,
                study_proof: of_study.proof,
                release_leaf,
                release_proof: of_release.proof,
                finality: of_release.finality,
            }
            .encode());
        }
        Err(Error::Unavailable(
            "the ledger moves on too fast for a proof; try again".to_owned(),
        ))
    }

    /// Which of the study's releases on the ledger this is: those that were refused have no place there.
    pub(super) fn number_on_ledger(&self, row: &ReleaseRow) -> Result<u64, Error> {
        let view = self.ledger.state_view();
        let releases = view.study(&row.study).map_or(0, |leaf| leaf.releases);
        let is_it = |number: &u64| {
            view.release(&row.study, *number).is_some_and(|leaf| {
                Some(leaf.content) == row.content && Some(leaf.certificate) == row.certificate
            })
        };
        (0..releases)
            .rev()
            .find(is_it)
            .ok_or_else(|| Error::Unavailable("the ledger does not hold that yet".to_owned()))
    }

    /// A release will not leave: nothing is left of it but why, its certificate and its manifest.
    pub(super) async fn release_refuse(
        &self,
        read: super::rows::Read<ReleaseRow>,
        why: String,
    ) -> Result<super::rows::Read<ReleaseRow>, Error> {
        let mut row = read.row.clone();
        row.state = ReleaseState::Refused(why);
        let read = self.release_row_put(Some(&read), row).await?;
        self.release_forget(&read.row).await?;
        Ok(read)
    }

    pub(super) async fn certificate_of(&self, row: &ReleaseRow) -> Result<Certificate, Error> {
        let bytes = self.content_file(&row.id, BESIDE[1]).await?;
        let bytes = bytes.ok_or(Error::Unknown("certificate of this release"))?;
        Certificate::read(&bytes).map_err(|_| Error::Damaged("a release's certificate".to_owned()))
    }

    /// The files of a release with their lengths, those about it too.
    async fn release_files(&self, row: &ReleaseRow) -> Result<Vec<(String, u64)>, Error> {
        let mut files = Vec::new();
        for name in [BESIDE[0], BESIDE[1]] {
            if let Some(bytes) = self.content_file(&row.id, name).await? {
                files.push((name.to_owned(), bytes.len() as u64));
                if name == BESIDE[0] {
                    let manifest: Manifest = serde_json::from_slice(&bytes)
                        .map_err(|_| Error::Damaged("a release's manifest".to_owned()))?;
                    files.extend(manifest.files.into_iter().map(|f| (f.name, f.bytes)));
                }
            }
        }
        Ok(files)
    }

    async fn release_shown(&self, row: &ReleaseRow, caller: &Caller) -> Result<ReleaseView, Error> {
        let standing = match &row.state {
            ReleaseState::Preparing => {
                let making = self.making_lock();
                let (phase, done, of) = match making.as_ref() {
                    Some(making) if making.release == row.id => {
                        (making.phase, making.done, making.of)
                    }
                    _ => ("waiting", 0, 0),
                };
                ReleaseStanding::Preparing { phase, done, of }
            }
            ReleaseState::Prepared => ReleaseStanding::Prepared,
            ReleaseState::Refused(why) => ReleaseStanding::Refused(why.clone()),
            ReleaseState::Publishing(_) => ReleaseStanding::Publishing,
            ReleaseState::Released(height) => ReleaseStanding::Released { height: *height },
        };
        // What attacks found on that which will not leave is for those who watch over it: asked for again and
        // again with other cohorts, it would tell of people.
        let told = !matches!(row.state, ReleaseState::Refused(_))
            || WATCHERS.iter().any(|role| caller.has(*role));
        let certificate = match row.certificate {
            Some(_) if told => Some(self.certificate_of(row).await?),
            _ => None,
        };
        let is_released = matches!(row.state, ReleaseState::Released(_));
        let mut files = Vec::new();
        if is_released {
            files = self.release_files(row).await?;
        }
        Ok(ReleaseView {
            study: row.study,
            number: row.number,
            tier: row.tier(),
            k: row.k,
            cohort: row.cohort_says(),
            asked: row.asked,
            standing,
            certificate,
            files,
        })
    }

    /// Whether somebody may look at a study's releases: who watches over them, and who researches in it.
    async fn release_reader(&self, study: &StudyId, caller: &Caller) -> Result<(), Error> {
        caller.needs("looking at releases", &READERS)?;
        self.own_staff(caller)?;
        let study = self.study_row(study).await?.row.case.study;
        match WATCHERS.iter().any(|role| caller.has(*role)) {
            true => Ok(()),
            false => named(&study, caller),
        }
    }
}

/// A small file from somewhere on.
fn piece(file: &[u8], offset: u64) -> ReleasePiece {
    let from = usize::try_from(offset).unwrap_or(usize::MAX);
    ReleasePiece {
        length: file.len() as u64,
        bytes: file.get(from..).unwrap_or_default().to_vec(),
    }
}
