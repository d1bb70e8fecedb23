//! Families in every state of consent, made over HTTP alone.

use crate::{house::House, spy::MARKER, wire::Call};
use futures::future::join_all;
use keys::{Secret, SigningKey};
use node::consent_change::ConsentBundle;
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::Mutex};

/// What the family agreed to, or what became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum State {
    NoGrant,
    Granted,
    Revoked,
    Restricted,
    Erased,
}

impl State {
    pub(crate) const ALL: [Self; 5] = [
        Self::NoGrant,
        Self::Granted,
        Self::Revoked,
        Self::Restricted,
        Self::Erased,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::NoGrant => "no grant",
            Self::Granted => "granted",
            Self::Revoked => "revoked",
            Self::Restricted => "restricted",
            Self::Erased => "erased",
        }
    }
}

/// One subject and all that hangs on it.
#[derive(Clone, Default)]
pub(crate) struct Family {
    pub(crate) subject: String,
    pub(crate) record: String,
    /// The FHIR id of the child as a Patient, where there is one.
    pub(crate) patient: String,
    pub(crate) grant: String,
    /// Logged reads: nothing proposed, a delay proposed, a delay approved.
    pub(crate) disclosures: [String; 3],
    /// A break-glass session that awaits review.
    pub(crate) session: String,
    /// An enrolment of the family's own key, signed.
    pub(crate) enrolment: Vec<u8>,
    /// Tokens: a mother in control; a foster parent whose time is over; a device that the child wears.
    pub(crate) parent: String,
    pub(crate) former: String,
    pub(crate) device: String,
}

/// An id of as many digits that nothing has.
pub(crate) const NOTHING: &str = "00000000000000000000000000000000";

/// A small phenopacket.
pub(crate) fn phenopacket(id: &str) -> Value {
    json!({
        "id": id,
        "subject": {"id": MARKER, "sex": "FEMALE"},
        "phenotypicFeatures": [{"type": {"id": "HP:0001250", "label": format!("Seizure {MARKER}")}}],
        "metaData": {"created": "2026-01-01T00:00:00Z", "createdBy": MARKER, "phenopacketSchemaVersion": "2.0"}
    })
}

/// Controllers of every family here.
fn controllers() -> Value {
    json!([
        {"slot": 0, "role": "guardian", "label": format!("{MARKER} mother")},
        {"slot": 1, "role": "guardian", "label": format!("{MARKER} foster"), "until": "2020-01-01T00:00:00Z"},
    ])
}

/// A grant to the specialist elsewhere.
pub(crate) fn grant(house: &House) -> Value {
    json!({
        "grantee": {"practitioner": {"institution": house.elsewhere, "practitioner": "specialist-1"}},
        "purposes": ["TREAT"],
        "categories": ["identity", "phenotype", "genomic", "laboratory", "vitals", "documents"],
        "from": "2020-01-01T00:00:00Z",
        "until": "2090-01-01T00:00:00Z",
    })
}

/// Opens a subject and deposits a record; nothing else.
pub(crate) async fn newborn(house: &House) -> Family {
    let opened = Call::post("/v1/subjects")
        .bearer(&house.staff.desk)
        .wait()
        .json(&json!({"assisted": true, "controllers": controllers()}))
        .send(house)
        .await
        .is(201);
    let subject = opened.field("subject");
    let deposited = Call::post(format!("/v1/subjects/{subject}/records"))
        .bearer(&house.staff.clinician)
        .wait()
        .json(&phenopacket("first"))
        .send(house)
        .await
        .is(201);
    Family {
        record: deposited.field("record"),
        subject,
        grant: NOTHING.to_owned(),
        session: NOTHING.to_owned(),
        disclosures: [NOTHING.to_owned(), NOTHING.to_owned(), NOTHING.to_owned()],
        ..Family::default()
    }
}

impl Family {
    pub(crate) fn path(&self, rest: &str) -> String {
        format!("/v1/subjects/{}{rest}", self.subject)
    }

    /// Makes the child a Patient.
    async fn admit(&mut self, house: &House) {
        let deposited = Call::post(self.path("/records"))
            .bearer(&house.staff.clinician)
            .fhir(&json!({"resourceType": "Patient", "name": [{"family": MARKER}]}))
            .send(house)
            .await
            .is(201);
        self.patient = deposited.field("record");
    }

    /// Grants to the specialist, finally.
    pub(crate) async fn share(&mut self, house: &House) {
        let granted = Call::post(self.path("/grants"))
            .bearer(&house.staff.desk)
            .wait()
            .json(&grant(house))
            .send(house)
            .await
            .is(201);
        assert_eq!(granted.value()["finality"]["state"], "final");
        self.grant = granted.field("grant");
    }

    /// Reads by a clinician, delays of showing them, a broken glass: what those who watch look at.
    async fn trail(&mut self, house: &House) {
        for disclosure in &mut self.disclosures {
            let uri = format!("/v1/subjects/{}/records/{}", self.subject, self.record);
            let read = Call::get(uri)
                .query("purpose=TREAT")
                .bearer(&house.staff.clinician)
                .send(house)
                .await
                .is(200);
            *disclosure = read.field("disclosure");
        }
        let [_, proposed, approved] = self.disclosures.clone();
        for disclosure in [&proposed, &approved] {
            Call::post(self.path(&format!("/disclosures/{disclosure}/delay")))
                .bearer(&house.staff.nurse)
                .json(&delay())
                .send(house)
                .await
                .is(201);
        }
        Call::post(self.path(&format!("/disclosures/{approved}/delay/approve")))
            .bearer(&house.staff.approver)
            .send(house)
            .await
            .is(200);
        let opened = Call::post(self.path("/break-glass"))
            .bearer(&house.staff.emergency)
            .json(&json!({"reason": format!("{MARKER} unconscious"), "minutes": 30}))
            .send(house)
            .await
            .is(201);
        self.session = opened.field("session");
    }

    /// The family's own key, signed for.
    async fn enrol(&mut self, house: &House) {
        let key = family_key();
        let prepared = Call::post(self.path("/controllers/prepare"))
            .bearer(&house.staff.desk)
            .json(&keyholders())
            .send(house)
            .await
            .is(200);
        let bundle = ConsentBundle::decode(&prepared.body).unwrap();
        self.enrolment = bundle.sign(&key).unwrap().encode();
    }

    /// What made the state what it is, after a grant.
    async fn change(&self, house: &House, state: State) {
        let staff = &house.staff;
        let call = match state {
            State::NoGrant | State::Granted => return,
            State::Revoked => Call::delete(self.path(&format!("/grants/{}", self.grant)))
                .bearer(&staff.desk)
                .wait(),
            State::Restricted => Call::put(self.path("/restriction"))
                .bearer(&staff.desk)
                .json(&json!({"restricted": true}))
                .wait(),
            State::Erased => Call::delete(self.path("")).bearer(&staff.approver),
        };
        call.send(house).await.is(200);
    }
}

/// The key that a family enrols.
pub(crate) fn family_key() -> SigningKey {
    SigningKey::from_seed(Secret::from_bytes([7; 32]))
}

/// That key and its holder.
pub(crate) fn keyholders() -> Value {
    json!({
        "controllers": [{
            "controller": {"slot": 0, "role": "guardian", "label": format!("{MARKER} mother")},
            "key": family_key().public().to_string(),
        }],
        "slot": 0,
    })
}

/// A delay to be proposed.
pub(crate) fn delay() -> Value {
    json!({
        "audience": "guardians",
        "ground": "suspected-abuse",
        "reason": format!("{MARKER} at risk"),
        "days": 10,
    })
}

/// A family in a state. With a trail, there is all that the audit endpoints need.
async fn family(house: &House, state: State, trail: bool) -> Family {
    let mut family = newborn(house).await;
    family.admit(house).await;
    if state != State::NoGrant {
        family.share(house).await;
    }
    if trail {
        family.trail(house).await;
        if state == State::Erased {
            family.enrol(house).await;
        }
    }
    family.change(house, state).await;
    if trail && state != State::Erased {
        family.enrol(house).await;
    }
    family
}

/// Families to be used up, made several at a time.
pub(crate) struct Nursery<'a> {
    house: &'a House,
    waiting: Mutex<BTreeMap<(State, bool), Vec<Family>>>,
}

impl<'a> Nursery<'a> {
    pub(crate) fn new(house: &'a House) -> Self {
        let waiting = Mutex::default();
        Self { house, waiting }
    }

    pub(crate) async fn take(&self, state: State, trail: bool) -> Family {
        const BROOD: usize = 3;
        let waiting = self
            .waiting
            .lock()
            .unwrap()
            .get_mut(&(state, trail))
            .and_then(Vec::pop);
        if let Some(family) = waiting {
            return family;
        }
        let made = (0..BROOD).map(|_| family(self.house, state, trail));
        let mut made = join_all(made).await;
        let people: Vec<_> = made
            .iter()
            .flat_map(|family| {
                let [parent, former] =
                    [0, 1].map(|slot| self.house.controller(&family.subject, slot));
                [parent, former, self.house.device(&family.subject)]
            })
            .collect();
        let mut tokens = self.house.tokens(&people).into_iter();
        for family in &mut made {
            family.parent = tokens.next().unwrap();
            family.former = tokens.next().unwrap();
            family.device = tokens.next().unwrap();
        }
        let taken = made.pop().unwrap();
        let mut waiting = self.waiting.lock().unwrap();
        waiting.entry((state, trail)).or_default().extend(made);
        taken
    }
}
