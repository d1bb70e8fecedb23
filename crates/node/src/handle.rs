//! The handle through which edges call use cases. Clone it freely; call it from any runtime or thread.
//!
//! Each call becomes a task of the node's own runtime and is answered over a channel: a caller that goes
//! away never leaves a use case half done. Calls in flight are bounded; more are refused as busy.

use crate::backup::{Backup, BackupMade};
use crate::break_glass::{
    BreakGlassOpen, BreakGlassOpened, BreakGlassQuery, BreakGlassReview, BreakGlassView,
};
use crate::caller::Caller;
use crate::consent_change::{
    ConsentAccepted, ConsentBundle, ConsentDesk, ConsentPrepare, ConsentQuery, ConsentShown,
    ConsentSubmit,
};
use crate::custodian::Custodian;
use crate::differential::{
    Diagnose, DifferentialChanges, DifferentialNewsList, DifferentialQuery, DifferentialShown,
    HearQuery, TermFound, TermQuery,
};
use crate::disclosure::{DisclosureList, DisclosureProofQuery, DisclosureQuery, PeriodProof};
use crate::erase::{Erase, Erased};
use crate::error::{Error, Problem};
use crate::event::{Broadcast, Events};
use crate::fhir::{
    FhirEverything, FhirExport, FhirExportPage, FhirExportQuery, FhirExportRead, FhirExportState,
    FhirHistory, FhirPage, FhirRead, FhirReadDone, FhirSearch, FhirSubscribe, FhirTransact,
    FhirValidate, FhirWritten,
};
use crate::governance::{NetworkEntry, NetworkPropose, NetworkView, NetworkVote};
use crate::hold::{Hold, HoldClear, HoldSet};
use crate::identity::{Identity, IdentityDecide, IdentityList, IdentityPage, IdentityUndo};
use crate::publication::{LogBundle, LogTile};
use crate::receipt::{ReceiptAnswer, ReceiptQuery};
use crate::record::{Deposited, Fetch, Fetched, List, Listed, Submission};
use crate::research::{
    BeaconAnswer, BeaconAsk, Counted, Recontact, ReleaseCertify, ReleasePiece, ReleasePrepare,
    ReleaseQuery, ReleaseRead, ReleaseReplayed, ReleaseView, ResearchHeld, ResearchQuery, Spending,
    StudyCount, StudyMatching, StudyPropose, StudyQuery, StudyTake, StudyView,
};
use crate::safeguarding::{
    Safeguarding, SafeguardingApprove, SafeguardingLift, SafeguardingPropose, SafeguardingQuery,
};
use crate::share::{
    PeerKeys, PointerRead, ShareAccept, ShareAnswer, ShareAsk, SharePoint, SharePointer,
    ShareQuery, ShareRequest, Shared,
};
use crate::status::{Metrics, Readiness, Status};
use crate::subject::{
    RecoveryDraft, RecoveryEndorse, RecoverySubmit, SubjectClose, SubjectEnrolPrepare,
    SubjectEntry, SubjectNotice, SubjectOpen, SubjectOpenPrepare, SubjectOpenSubmit, SubjectOpened,
    SubjectQuery, SubjectRecover, SubjectStatus,
};
use crate::witness::{CheckpointCollect, CheckpointCollected, CheckpointCosign};
use answer::Answer;
use futures::FutureExt;
use futures::channel::{mpsc, oneshot};
use futures::future::BoxFuture;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use store::Store;

/// A call as a task.
pub(crate) struct Job {
    pub(crate) work: BoxFuture<'static, ()>,
    /// Whether it keeps a processor busy, so that it must not hold up those that wait for others.
    pub(crate) is_heavy: bool,
}

/// Heavy calls in flight; more are refused as busy.
const HEAVY_MAX: usize = 16;

/// Calls the use cases of one node.
#[derive(Clone)]
pub struct Handle {
    cases: Weak<dyn UseCases>,
    keys: Weak<dyn PeerKeys>,
    jobs: mpsc::UnboundedSender<Job>,
    in_flight: Arc<AtomicUsize>,
    in_flight_max: usize,
    heavy: Arc<AtomicUsize>,
    events: Broadcast,
}

macro_rules! use_cases {
    (@is_heavy heavy) => { true };
    (@is_heavy) => { false };
    ($($(#[$doc:meta])* $name:ident($input:ty) -> $output:ty $([$heavy:ident])?;)*) => {
        /// The use cases of a custodian, without its store's type.
        pub(crate) trait UseCases: Send + Sync {
            $(fn $name(self: Arc<Self>, input: $input) -> BoxFuture<'static, Result<$output, Error>>;)*
        }

        impl<S: Store> UseCases for Custodian<S> {
            $(fn $name(self: Arc<Self>, input: $input) -> BoxFuture<'static, Result<$output, Error>> {
                async move { Custodian::$name(&self, input).await }.boxed()
            })*
        }

        impl Handle {
            $($(#[$doc])*
            ///
            /// The future may be sent anywhere; it does not borrow the handle.
            pub fn $name(
                &self,
                input: $input,
            ) -> impl Future<Output = Result<$output, Error>> + Send + use<> {
                let this = self.clone();
                async move {
                    let cases = this.cases.upgrade().ok_or_else(stopping)?;
                    let is_heavy = use_cases!(@is_heavy $($heavy)?);
                    this.run(cases.$name(input), is_heavy).await
                }
            })*
        }
    };
}

use_cases! {
    /// Opens a compartment for which the desk acts.
    subject_open(SubjectOpen) -> SubjectOpened;
    /// Prepares an opening under a family's own keys, for the family to sign.
    subject_open_prepare(SubjectOpenPrepare) -> ConsentBundle;
    /// Opens a compartment with what the family signed.
    subject_open_submit(SubjectOpenSubmit) -> SubjectOpened;
    /// What is known of a subject, without its records.
    subject_status(SubjectQuery) -> SubjectStatus;
    /// Prepares the enrolment of a family's keys, for the family to sign; submitted like a consent
    /// change, it ends the desk's acting for good.
    subject_enrol_prepare(SubjectEnrolPrepare) -> ConsentBundle;
    /// What the controllers are to be told; a controller who asks has been told.
    subject_notices(SubjectQuery) -> Vec<SubjectNotice>;
    /// Drafts a recovery of lost keys, signed by this custodian.
    subject_recover(SubjectRecover) -> RecoveryDraft;
    /// Countersigns another custodian's recovery draft.
    subject_recover_endorse(RecoveryEndorse) -> RecoveryDraft;
    /// Submits an endorsed recovery; it takes effect after the network's delay.
    subject_recover_submit(RecoverySubmit) -> SubjectEntry;
    /// Closes a subject to new data, keeping what is there.
    subject_close(SubjectClose) -> SubjectEntry;

    /// Puts a record, a new version or a bundle in; answers after the durable write.
    record_deposit(Submission) -> Deposited;
    /// Reads what consent permits; the disclosure is durable before anything is opened.
    record_fetch(Fetch) -> Fetched;
    /// Lists the records of which the caller may know.
    record_list(List) -> Listed;
    /// Writes FHIR resources, all or none; answers after the durable write.
    fhir_transact(FhirTransact) -> Vec<FhirWritten>;
    /// Makes, changes or ends a FHIR Subscription.
    fhir_subscribe(FhirSubscribe) -> FhirWritten;
    /// Reads a FHIR resource, as far as it is permitted; the disclosure is durable before it leaves.
    fhir_read(FhirRead) -> FhirReadDone;
    /// The versions of a FHIR resource, or of all of a type, the newest first.
    fhir_history(FhirHistory) -> FhirPage;
    /// Searches FHIR resources, each as far as it is permitted.
    fhir_search(FhirSearch) -> FhirPage;
    /// Everything of a Patient that is permitted.
    fhir_everything(FhirEverything) -> FhirPage;
    /// Begins an export of what the asker may see of many; gives its id.
    fhir_export(FhirExport) -> String;
    /// How far an export is.
    fhir_export_state(FhirExportQuery) -> FhirExportState;
    /// A page of an export's file, as far as it is permitted now; the disclosures are durable before it leaves.
    fhir_export_read(FhirExportRead) -> FhirExportPage;
    /// Ends an export.
    fhir_export_end(FhirExportQuery) -> ();
    /// What is wrong with a FHIR resource; nothing is kept.
    fhir_validate(FhirValidate) -> Vec<Problem> [heavy];
    /// Patients that carry one identifier, for the desk to say whether they are one person.
    identity_list(IdentityList) -> IdentityPage;
    /// Says whether two Patients are one person; one that replaces another is linked to it.
    identity_decide(IdentityDecide) -> Identity;
    /// Takes such a decision back.
    identity_undo(IdentityUndo) -> Identity;
    /// A subject's differential diagnosis, for a clinician, made of what the caller may see.
    differential(DifferentialQuery) -> DifferentialShown [heavy];
    /// The subjects whose differentials changed since a clinician looked.
    differential_changes(DifferentialChanges) -> DifferentialNewsList;
    /// Answers for a case that is nobody's here: nothing is kept.
    diagnose(Diagnose) -> Answer [heavy];
    /// Searches for terms of HPO.
    term_search(TermQuery) -> Vec<TermFound> [heavy];
    /// Refuses people of other institutions, where an edge has nothing else to ask.
    welcome(Caller) -> ();
    /// Whether a clinician may hear that a subject's differential has news; that it hears is logged.
    hear_news(HearQuery) -> bool;
    /// Whether a caller acts for a subject, and so may hear that something of it changed.
    may_hear(HearQuery) -> bool;
    /// The receipt of a record version, once final.
    receipt(ReceiptQuery) -> ReceiptAnswer;

    /// The consent state: finalised, pending, and its opening on the ledger.
    consent_show(ConsentQuery) -> ConsentShown;
    /// Prepares a change for a controller to sign at home.
    consent_prepare(ConsentPrepare) -> ConsentBundle;
    /// Takes a signed change.
    consent_submit(ConsentSubmit) -> ConsentAccepted;
    /// Changes consent for an assisted subject.
    consent_desk(ConsentDesk) -> ConsentAccepted;

    /// Makes a pointer that lets another institution ask for a subject's records here.
    share_point(SharePoint) -> Vec<u8>;
    /// Reads another institution's pointer.
    share_pointer_read(PointerRead) -> SharePointer;
    /// Makes a request to another institution.
    share_prepare(ShareAsk) -> ShareRequest;
    /// Answers another institution: a request for records is decided and logged like a fetch, and sealed to the
    /// asker; a checkpoint is cosigned.
    share_answer(ShareQuery) -> ShareAnswer;
    /// Opens and checks another institution's answer; this institution's read is durable before.
    share_accept(ShareAccept) -> Shared;

    /// Opens a break-glass session.
    break_glass_open(BreakGlassOpen) -> BreakGlassOpened;
    /// Lists break-glass sessions.
    break_glass_list(BreakGlassQuery) -> Vec<BreakGlassView>;
    /// Reviews a session, as a second person.
    break_glass_review(BreakGlassReview) -> BreakGlassView;

    /// Sets a legal hold.
    hold_set(HoldSet) -> Hold;
    /// Clears a legal hold.
    hold_clear(HoldClear) -> ();
    /// Proposes to delay showing a disclosure.
    safeguarding_propose(SafeguardingPropose) -> Safeguarding;
    /// Approves such a delay, as a second person.
    safeguarding_approve(SafeguardingApprove) -> Safeguarding;
    /// Ends such a delay early.
    safeguarding_lift(SafeguardingLift) -> Safeguarding;
    /// Lists such delays.
    safeguarding_list(SafeguardingQuery) -> Vec<Safeguarding>;
    /// Destroys a subject's key here and hands its disclosures over.
    erase(Erase) -> Erased;

    /// A subject's disclosures and refusals.
    disclosure_list(DisclosureQuery) -> DisclosureList;
    /// Proof of presence or absence for one period.
    disclosure_proof(DisclosureProofQuery) -> PeriodProof;

    /// Proposes a study.
    study_propose(StudyPropose) -> StudyView;
    /// Takes a step with a study: approve, refuse, agree, open, end, withdraw.
    study_take(StudyTake) -> StudyView;
    /// A study as it stands.
    study_show(StudyQuery) -> StudyView;
    /// All studies here.
    study_list(Caller) -> Vec<StudyView>;
    /// How a study matches what families agreed to, for the committee.
    study_matching(StudyQuery) -> StudyMatching;
    /// How many there are, about: costs a part of three budgets.
    study_count(StudyCount) -> Counted;
    /// Asks a study's beacon (GA4GH Beacon v2).
    beacon(BeaconAsk) -> BeaconAnswer;
    /// What was spent for a study.
    study_spending(StudyQuery) -> Spending;
    /// Asks for a release, which is made and attacked in the background.
    release_prepare(ReleasePrepare) -> ReleaseView;
    /// A release as it stands.
    release_show(ReleaseQuery) -> ReleaseView;
    /// The releases of a study.
    release_list(StudyQuery) -> Vec<ReleaseView>;
    /// The committee's word on a release; certified, it goes to the ledger.
    release_certify(ReleaseCertify) -> ReleaseView;
    /// A piece of a file of a release.
    release_read(ReleaseRead) -> ReleasePiece;
    /// Tries the attacks on a release again.
    release_replay(ReleaseQuery) -> ReleaseReplayed [heavy];
    /// Asks whom a re-contact token stands for whether the study may be in touch.
    recontact(Recontact) -> ();
    /// What research holds of a subject.
    research_held(ResearchQuery) -> ResearchHeld;

    /// Proposes a change of the network.
    network_propose(NetworkPropose) -> NetworkEntry;
    /// Votes on a proposal.
    network_vote(NetworkVote) -> NetworkEntry;
    /// The members, the validators, the parameters and the open proposals.
    network_show(Caller) -> NetworkView;

    /// The log's newest checkpoint, signed by this institution: a signed note.
    log_checkpoint(()) -> String;
    /// The newest checkpoint that others cosigned; the newest of all while there is none.
    log_cosigned(()) -> String;
    /// A tile of the log's hashes.
    log_tile(LogTile) -> Vec<u8>;
    /// A bundle of the log's entries, for members and auditors.
    log_bundle(LogBundle) -> Vec<u8>;
    /// Cosigns another member's checkpoint of this ledger: signature lines.
    checkpoint_cosign(CheckpointCosign) -> String;
    /// Keeps others' cosignatures of a checkpoint of this ledger.
    checkpoint_collect(CheckpointCollect) -> CheckpointCollected;

    /// How the node does, for operators.
    status(Caller) -> Status;
    /// Whether the node can serve, for probes.
    ready(()) -> Readiness;
    /// Counters and gauges.
    metrics(()) -> Metrics;
    /// Backs the node up while it runs.
    backup(Backup) -> BackupMade;
}

impl Handle {
    pub(crate) fn new<S: Store>(
        cases: &Arc<Custodian<S>>,
        jobs: mpsc::UnboundedSender<Job>,
        in_flight_max: usize,
        events: Broadcast,
    ) -> Self {
        let keys: Arc<dyn PeerKeys> = cases.clone();
        let cases: Arc<dyn UseCases> = cases.clone();
        Self {
            cases: Arc::downgrade(&cases),
            keys: Arc::downgrade(&keys),
            jobs,
            in_flight: Arc::default(),
            in_flight_max,
            heavy: Arc::default(),
            events,
        }
    }

    /// The keys for handshakes between institutions; none once the node has stopped.
    pub fn peer_keys(&self) -> Option<Arc<dyn PeerKeys>> {
        self.keys.upgrade()
    }

    /// Whether no call is in flight.
    pub(crate) fn is_idle(&self) -> bool {
        self.in_flight.load(Ordering::Acquire) == 0
    }

    /// Subscribes to events from now on.
    pub fn events(&self) -> Events {
        self.events.subscribe()
    }

    async fn run<T: Send + 'static>(
        &self,
        case: BoxFuture<'static, Result<T, Error>>,
        is_heavy: bool,
    ) -> Result<T, Error> {
        let place = Place::take(&self.in_flight, self.in_flight_max)?;
        let heavy = match is_heavy {
            true => Some(Place::take(&self.heavy, HEAVY_MAX)?),
            false => None,
        };
        let (answer, answered) = oneshot::channel();
        let work = async move {
            let result = case.await;
            drop((heavy, place));
            // The caller may have gone away; the use case is done all the same.
            answer.send(result).ok();
        };
        // INVARIANT: the queue is bounded by the places taken.
        self.jobs
            .unbounded_send(Job {
                work: work.boxed(),
                is_heavy,
            })
            .map_err(|_| stopping())?;
        answered.await.map_err(|_| stopping())?
    }
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Handle")
    }
}

fn stopping() -> Error {
    Error::Unavailable("the node is stopping".to_owned())
}

/// A place among the calls in flight, given back when dropped.
pub(crate) struct Place(Arc<AtomicUsize>);

impl Place {
    pub(crate) fn take(in_flight: &Arc<AtomicUsize>, max: usize) -> Result<Self, Error> {
        let before = in_flight.fetch_add(1, Ordering::AcqRel);
        let place = Self(in_flight.clone());
        if before >= max {
            return Err(Error::Busy { in_flight: before });
        }
        Ok(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
