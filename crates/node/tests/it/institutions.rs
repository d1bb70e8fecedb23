//! Records shared between institutions: exactly what was granted, sealed to the asker, once.

use crate::members::Network;
use crate::world::{FINDING, GENE, NAME, actor, final_wait, run};
use node::consent_change::{ConsentChange, ConsentDesk, GrantDraft};
use node::disclosure::{DisclosureQuery, DisclosureView, Outcome};
use node::record::{Fetch, Fetched};
use node::share::{
    PointerRead, ShareAccept, ShareAnswer, ShareAsk, SharePoint, ShareQuery, ShareRefused,
    ShareRequest, Shared,
};
use node::subject::Wait;
use node::{
    Caller, Category, Error, GrantId, Grantee, Millis, Missing, PractitionerAt, PractitionerId,
    Purpose, RecordId, Records, Role, Selection, SubjectId,
};
use std::collections::BTreeSet;

/// Who holds the records, who asks, and who has nothing to do with it.
const A: usize = 0;
const B: usize = 1;
const C: usize = 2;

const LOGGED: &str = "ithaca_disclosures_logged_total";
const PHENOTYPE: &[Category] = &[Category::Phenotype];

struct Story {
    network: Network,
    subject: SubjectId,
}

impl Story {
    async fn new(context: crate::world::Context) -> Self {
        let network = Network::new(context).await;
        let subject = network.open(A, final_wait()).await;
        network.deposit(A, subject, "case-1").await;
        Self { network, subject }
    }

    fn specialist(&self) -> Caller {
        let id = self.network.members[B].card.institution.id;
        Caller::staff(actor(id, "dr-specialist", Role::Geneticist))
    }

    async fn consent(&self, change: ConsentChange, wait: Wait) -> Vec<GrantId> {
        let desk = ConsentDesk {
            caller: self.network.staff(A, Role::Desk),
            subject: self.subject,
            expect_sequence: None,
            changes: vec![change],
            wait,
        };
        self.network
            .handle(A)
            .consent_desk(desk)
            .await
            .unwrap()
            .grants
    }

    async fn grant(&self) -> GrantId {
        let draft = GrantDraft {
            grantee: Grantee::Practitioner(PractitionerAt {
                institution: self.network.members[B].card.institution.id,
                practitioner: PractitionerId::new("dr-specialist").unwrap(),
            }),
            purposes: BTreeSet::from([Purpose::Treat]),
            categories: BTreeSet::from([Category::Phenotype]),
            from: Millis::ZERO,
            until: Millis::new(4_000_000_000_000),
            exceptions: BTreeSet::new(),
        };
        self.consent(ConsentChange::GrantAdd(draft), final_wait())
            .await[0]
    }

    fn ask(&self, categories: &[Category]) -> ShareAsk {
        ShareAsk {
            caller: self.specialist(),
            custodian: self.network.members[A].card.institution.id,
            subject: self.subject,
            purpose: Purpose::Treat,
            selection: Selection::all(categories.iter().copied()),
            study: None,
            partial: false,
        }
    }

    async fn prepare(&self, categories: &[Category]) -> ShareRequest {
        let ask = self.ask(categories);
        self.network.handle(B).share_prepare(ask).await.unwrap()
    }

    async fn answer_of(&self, peer: usize, request: &[u8]) -> Result<ShareAnswer, Error> {
        let query = ShareQuery {
            peer: Some(self.network.members[peer].card.institution.id),
            bytes: request.to_vec(),
        };
        self.network.handle(A).share_answer(query).await
    }

    async fn accept(&self, request: &[u8], answer: &[u8]) -> Result<Shared, Error> {
        let accept = ShareAccept {
            caller: self.specialist(),
            request: request.to_vec(),
            answer: answer.to_vec(),
        };
        self.network.handle(B).share_accept(accept).await
    }

    async fn share(&self, categories: &[Category]) -> Result<Shared, Error> {
        let request = self.prepare(categories).await;
        let answer = self.answer_of(B, &request.bytes).await?;
        self.accept(&request.bytes, &answer.bytes).await
    }

    async fn missing(&self, categories: &[Category]) -> Vec<Missing> {
        match self.share(categories).await {
            Err(Error::Denied { denial, .. }) => denial.missing,
            other => panic!("not denied: {other:?}"),
        }
    }

    async fn trail(&self, index: usize, subject: SubjectId) -> Vec<DisclosureView> {
        let query = DisclosureQuery {
            caller: self.network.staff(index, Role::PrivacyOfficer),
            subject,
            from: Millis::ZERO,
            until: Millis::new(u64::MAX),
        };
        let listed = self.network.handle(index).disclosure_list(query).await;
        listed.unwrap().disclosures
    }
}

fn refused(outcome: Result<impl std::fmt::Debug, Error>) -> ShareRefused {
    match outcome {
        Err(Error::Share(why)) => why,
        other => panic!("not refused: {other:?}"),
    }
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|at| at == text.as_bytes())
}

#[test]
fn a_specialist_elsewhere_reads_exactly_what_was_granted() {
    run(60, |context| async move {
        let story = Story::new(context).await;
        story.grant().await;
        let request = story.prepare(PHENOTYPE).await;
        let answer = story.answer_of(B, &request.bytes).await.unwrap();
        for word in [FINDING, NAME, GENE] {
            assert!(!holds(&answer.bytes, word) && !holds(&request.bytes, word));
        }
        let shared = story.accept(&request.bytes, &answer.bytes).await.unwrap();
        assert_eq!(shared.records.len(), 1);
        let parts = &shared.records[0].parts;
        assert_eq!(parts.len(), 1);
        assert_eq!(parts[0].category, Category::Phenotype);
        assert!(holds(parts[0].bytes.as_bytes(), FINDING));
        assert!(!holds(parts[0].bytes.as_bytes(), NAME));
        // The receipt that came along convinces anyone with the genesis.
        let receipt = &shared.records[0].receipt;
        let bytes = parts[0].bytes.as_bytes();
        node::verify::receipt(receipt, &story.network.genesis, Some(bytes)).unwrap();

        let trail = story.trail(A, story.subject).await;
        let seen = trail
            .iter()
            .find(|seen| seen.id == shared.disclosure)
            .unwrap();
        assert_eq!(seen.act.as_deref(), Some("share"));
        assert_eq!(seen.institution, story.specialist().actor.institution);
        assert_eq!(seen.records, [shared.records[0].record]);
        // What it permits is the grant's to say, whoever asks at the custodian itself.
        let fetch = Fetch {
            caller: story.specialist(),
            purpose: Purpose::Treat,
            subject: story.subject,
            selection: Selection::all(PHENOTYPE.iter().copied()),
            study: None,
            partial: false,
            version: None,
        };
        let here: Fetched = story.network.handle(A).record_fetch(fetch).await.unwrap();
        let same = here.records[0].projections[0].bytes.as_bytes();
        assert_eq!(bytes, same);
    });
}

#[test]
fn the_askers_own_read_is_logged_and_proved_at_home() {
    run(61, |context| async move {
        let story = Story::new(context).await;
        story.grant().await;
        let shared = story.share(PHENOTYPE).await.unwrap();
        let again = story.share(PHENOTYPE).await.unwrap();
        assert_ne!(shared.logged, again.logged);
        assert_eq!(shared.visitor, again.visitor);
        assert_ne!(shared.visitor, story.subject, "ids do not cross custodians");
        let trail = story.trail(B, shared.visitor).await;
        let asked = trail
            .iter()
            .filter(|seen| seen.act.as_deref() == Some("ask"));
        assert_eq!(asked.count(), 2, "who asks is known before anything leaves");
        for visit in [&shared, &again] {
            let seen = trail.iter().find(|seen| seen.id == visit.logged).unwrap();
            assert_eq!(seen.act.as_deref(), Some("visit"));
            assert!(matches!(seen.outcome, Outcome::Permitted(_)));
        }
        let period = trail[0].period;
        story.network.sleep_ms(30_000).await;
        let proof = node::disclosure::DisclosureProofQuery {
            caller: story.network.staff(B, Role::PrivacyOfficer),
            subject: shared.visitor,
            period,
        };
        let proof = story
            .network
            .handle(B)
            .disclosure_proof(proof)
            .await
            .unwrap();
        let node::disclosure::PeriodProof::Ready { count, .. } = proof else {
            panic!("pending");
        };
        assert!(count >= 1);
    });
}

#[test]
fn what_was_not_granted_is_refused_with_its_reason_and_logged() {
    run(62, |context| async move {
        let story = Story::new(context).await;
        assert_eq!(story.missing(PHENOTYPE).await, [Missing::NoGrant]);
        let grant = story.grant().await;
        let missing = story.missing(&[Category::Genomic]).await;
        let of_category = |m: &Missing| matches!(m, Missing::CategoriesNotPermitted(_));
        assert!(missing.iter().any(of_category), "{missing:?}");
        assert!(story.share(PHENOTYPE).await.is_ok());
        // Revoked a moment ago, and not yet final: it binds.
        let revoke = ConsentChange::GrantRevoke(grant);
        story.consent(revoke, Wait::Durable).await;
        assert!(!story.missing(PHENOTYPE).await.is_empty());
        let trail = story.trail(A, story.subject).await;
        let refusals = trail.iter().filter(|seen| {
            seen.act.as_deref() == Some("share") && matches!(seen.outcome, Outcome::Refused(_))
        });
        assert_eq!(refusals.count(), 3);
    });
}

/// Whom no grant names cannot tell who is here, who is not, and who was.
#[test]
fn strangers_learn_nothing_of_a_subject() {
    run(69, |context| async move {
        let story = Story::new(context).await;
        assert_eq!(story.missing(PHENOTYPE).await, [Missing::NoGrant]);
        story
            .consent(ConsentChange::Restrict(true), final_wait())
            .await;
        assert_eq!(story.missing(PHENOTYPE).await, [Missing::NoGrant]);
        let mut ask = story.ask(PHENOTYPE);
        ask.subject = SubjectId::new([9; 32]);
        let request = story.network.handle(B).share_prepare(ask).await.unwrap();
        let before = story.network.metric(A, LOGGED).await;
        let answer = story.answer_of(B, &request.bytes).await.unwrap();
        let nobody = story.accept(&request.bytes, &answer.bytes).await;
        let Err(Error::Denied { denial, disclosure }) = nobody else {
            panic!("{nobody:?}");
        };
        // No decision without a trace, also about nobody.
        let after = story.network.metric(A, LOGGED).await;
        assert_eq!(after, before + 1, "{disclosure} was not logged");
        assert_eq!(denial.missing, [Missing::NoGrant]);
        let erase = node::erase::Erase {
            caller: story.network.staff(A, Role::PrivacyOfficer),
            subject: story.subject,
        };
        story.network.handle(A).erase(erase).await.unwrap();
        assert_eq!(story.missing(PHENOTYPE).await, [Missing::NoGrant]);
    });
}

#[test]
fn what_is_not_on_the_ledger_yet_is_not_sent() {
    run(70, |context| async move {
        let story = Story::new(context).await;
        story.grant().await;
        let before = story.trail(A, story.subject).await.len();
        let late = story.network.submission(A, story.subject, "case-2");
        story.network.handle(A).record_deposit(late).await.unwrap();
        let shared = story.share(PHENOTYPE).await.unwrap();
        assert_eq!(shared.records.len(), 1);
        let trail = story.trail(A, story.subject).await;
        let disclosed = trail
            .iter()
            .find(|seen| seen.id == shared.disclosure)
            .unwrap();
        assert_eq!(disclosed.records.len(), 1, "no more than was sent");
        assert!(trail.len() > before);
        story.network.sleep_ms(15_000).await;
        assert_eq!(story.share(PHENOTYPE).await.unwrap().records.len(), 2);
    });
}

#[test]
fn an_old_view_of_the_ledger_answers_nobody_elsewhere() {
    run(63, |context| async move {
        let story = Story::new(context).await;
        story.grant().await;
        for other in 1..4 {
            story.network.cut(A, other).await;
        }
        story.network.sleep_ms(90_000).await;
        let missing = story.missing(PHENOTYPE).await;
        let is_stale = |m: &Missing| matches!(m, Missing::LedgerStale { .. });
        assert!(missing.iter().any(is_stale), "{missing:?}");
    });
}

#[test]
fn a_request_is_good_once_and_for_a_short_time() {
    run(64, |context| async move {
        let story = Story::new(context).await;
        story.grant().await;
        let request = story.prepare(PHENOTYPE).await;
        let answer = story.answer_of(B, &request.bytes).await.unwrap();
        let again = story.answer_of(B, &request.bytes).await;
        assert_eq!(refused(again), ShareRefused::Replayed);
        let late = story.prepare(PHENOTYPE).await;
        story
            .network
            .sleep_ms(node::share::REQUEST_LIFE_MS + 1_000)
            .await;
        let expired = story.answer_of(B, &late.bytes).await;
        assert_eq!(refused(expired), ShareRefused::Expired);
        story.network.sleep_ms(node::share::SKEW_MS).await;
        let expired = story.accept(&request.bytes, &answer.bytes).await;
        assert_eq!(refused(expired), ShareRefused::Expired);
    });
}

#[test]
fn nobody_else_gets_anything_out_of_a_request_or_an_answer() {
    run(65, |context| async move {
        let story = Story::new(context).await;
        story.grant().await;
        let request = story.prepare(PHENOTYPE).await;
        // Carried by another institution.
        let carried = story.answer_of(C, &request.bytes).await;
        assert_eq!(refused(carried), ShareRefused::Peer);
        // Sent to another custodian.
        let query = ShareQuery {
            peer: None,
            bytes: request.bytes.clone(),
        };
        let elsewhere = story.network.handle(C).share_answer(query).await;
        assert_eq!(refused(elsewhere), ShareRefused::Addressee);
        let answer = story.answer_of(B, &request.bytes).await.unwrap();
        // Opened by another institution.
        let id = story.network.members[C].card.institution.id;
        let stolen = ShareAccept {
            caller: Caller::staff(actor(id, "dr-specialist", Role::Geneticist)),
            request: request.bytes.clone(),
            answer: answer.bytes.clone(),
        };
        let stolen = story.network.handle(C).share_accept(stolen).await;
        assert_eq!(refused(stolen), ShareRefused::Key);
        // Shown to a colleague of the asker.
        let colleague = ShareAccept {
            caller: story.network.staff(B, Role::Clinician),
            request: request.bytes.clone(),
            answer: answer.bytes.clone(),
        };
        let colleague = story.network.handle(B).share_accept(colleague).await;
        assert_eq!(refused(colleague), ShareRefused::Asker);
        // Given as the answer to another request.
        let other = story
            .prepare(&[Category::Phenotype, Category::Genomic])
            .await;
        let swapped = story.accept(&other.bytes, &answer.bytes).await;
        assert_eq!(refused(swapped), ShareRefused::Mismatch);
        // Role by which nobody elsewhere acts.
        let mut ask = story.ask(PHENOTYPE);
        ask.caller.actor.roles.insert(Role::Desk);
        let request = story.network.handle(B).share_prepare(ask).await.unwrap();
        let desk = story.answer_of(B, &request.bytes).await;
        assert_eq!(refused(desk), ShareRefused::Asker);
    });
}

/// A single changed byte, anywhere: refused, and nothing is shown.
#[test]
fn no_byte_of_a_message_can_be_changed() {
    run(66, |context| async move {
        let story = Story::new(context).await;
        story.grant().await;
        let request = story.prepare(PHENOTYPE).await;
        for at in (0..request.bytes.len()).step_by(7) {
            let mut bytes = request.bytes.clone();
            bytes[at] ^= 1 << (at % 8);
            refused(story.answer_of(B, &bytes).await);
        }
        let answer = story.answer_of(B, &request.bytes).await.unwrap();
        let step = answer.bytes.len() / 150 + 1;
        for at in (0..answer.bytes.len()).step_by(step) {
            let mut bytes = answer.bytes.clone();
            bytes[at] ^= 1 << (at % 8);
            refused(story.accept(&request.bytes, &bytes).await);
        }
        assert!(story.accept(&request.bytes, &answer.bytes).await.is_ok());
    });
}

#[test]
fn only_named_records_and_members_are_answered_for() {
    run(67, |context| async move {
        let story = Story::new(context).await;
        story.grant().await;
        let mut ask = story.ask(PHENOTYPE);
        ask.selection.records = Records::Only(BTreeSet::from([RecordId::new([9; 16])]));
        let request = story.network.handle(B).share_prepare(ask).await.unwrap();
        let unknown = story.answer_of(B, &request.bytes).await;
        assert!(
            matches!(unknown, Err(Error::RecordUnknown(_))),
            "{unknown:?}"
        );
        let mut ask = story.ask(PHENOTYPE);
        ask.custodian = crate::world::ELSEWHERE;
        let stranger = story.network.handle(B).share_prepare(ask).await;
        assert_eq!(refused(stranger), ShareRefused::Stranger);
        let mut ask = story.ask(PHENOTYPE);
        ask.custodian = story.network.members[B].card.institution.id;
        let own = story.network.handle(B).share_prepare(ask).await;
        assert!(matches!(own, Err(Error::Invalid { .. })));
    });
}

#[test]
fn a_pointer_says_whom_to_ask_and_permits_nothing() {
    run(68, |context| async move {
        let story = Story::new(context).await;
        let grant = story.grant().await;
        let point = SharePoint {
            caller: story.network.staff(A, Role::Desk),
            subject: story.subject,
            grant,
        };
        let bytes = story
            .network
            .handle(A)
            .share_point(point.clone())
            .await
            .unwrap();
        let read = PointerRead {
            caller: story.specialist(),
            bytes: bytes.clone(),
        };
        let pointer = story
            .network
            .handle(B)
            .share_pointer_read(read)
            .await
            .unwrap();
        assert_eq!(pointer.subject, story.subject);
        assert_eq!(pointer.grant, grant);
        for at in 0..bytes.len() {
            let mut bytes = bytes.clone();
            bytes[at] ^= 1;
            let caller = story.specialist();
            let read = PointerRead { caller, bytes };
            refused(story.network.handle(B).share_pointer_read(read).await);
        }
        story
            .consent(ConsentChange::GrantRevoke(grant), final_wait())
            .await;
        assert_eq!(story.missing(PHENOTYPE).await, [Missing::NoGrant]);
        let gone = story.network.handle(A).share_point(point).await;
        assert!(matches!(gone, Err(Error::Unknown(_))));
    });
}

/// The way back to the genesis is the asker's own: it does not travel, and the receipt comes back with it.
#[test]
fn an_answer_does_not_grow_with_the_age_of_the_ledger() {
    run(148, |context| async move {
        let story = Story::new(context).await;
        story.grant().await;
        let mut answers = Vec::new();
        let mut ends = 0;
        for _ in 0..2 {
            let request = story.prepare(PHENOTYPE).await;
            let answer = story.answer_of(B, &request.bytes).await.unwrap();
            let shared = story.accept(&request.bytes, &answer.bytes).await.unwrap();
            answers.push(answer.bytes.len());
            let receipt = &shared.records[0].receipt;
            let part = shared.records[0].parts[0].bytes.as_bytes();
            node::verify::receipt(receipt, &story.network.genesis, Some(part)).unwrap();
            let receipt: ledger::receipt::Receipt = codec::from_slice(receipt).unwrap();
            ends = receipt.logged.finality.boundaries.len();
            // Several epochs of twenty blocks, one in five seconds.
            story.network.sleep_ms(400_000).await;
        }
        assert!(ends >= 3, "{ends} epochs ended");
        // Each end of an epoch is several hundred bytes; paths in trees grow by a few digests.
        assert!(answers[1] < answers[0] + 500, "{answers:?}");
    });
}
