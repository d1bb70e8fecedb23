//! A small world: few institutions, people, records and instants, so that they meet often.

use codec::{Category, GrantId, InstitutionId, Millis, RecordId, StudyId, SubjectId};
use consent::{
    Actor, BreakGlass, ConsentState, Controller, ControllerRole, Decision, Effective, Exception,
    Facts, Grant, Grantee, Label, Opening, Policy, PractitionerAt, PractitionerId, Purpose, Reason,
    RecordKind, Records, Request, Role, Selection, StudyFacts, Terms, decide,
};
use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use std::collections::{BTreeMap, BTreeSet};

pub(crate) const CUSTODIAN: InstitutionId = InstitutionId::new([0; 16]);
pub(crate) const OTHER: InstitutionId = InstitutionId::new([1; 16]);
pub(crate) const THIRD: InstitutionId = InstitutionId::new([2; 16]);
pub(crate) const SUBJECT: SubjectId = SubjectId::new([7; 32]);
pub(crate) const STUDY: StudyId = StudyId::new([9; 16]);
/// Instants of the world: 0 to this. Sessions of broken glass are in it too.
pub(crate) const LAST: u64 = 12;
/// After the end of every period of the world.
pub(crate) const HORIZON: u64 = 2 * LAST;

pub(crate) fn at(t: u64) -> Millis {
    Millis::new(t)
}

pub(crate) fn record(n: u8) -> RecordId {
    RecordId::new([n; 16])
}

pub(crate) fn grant_id(n: u8) -> GrantId {
    GrantId::new([n; 16])
}

pub(crate) fn person(n: u8) -> PractitionerId {
    PractitionerId::new(format!("person-{n}")).unwrap()
}

pub(crate) fn kind(n: u8) -> RecordKind {
    RecordKind::new(format!("Kind{n}")).unwrap()
}

pub(crate) fn reason(text: &str) -> Reason {
    Reason::new(text).unwrap()
}

pub(crate) fn actor(institution: InstitutionId, who: u8, roles: &[Role]) -> Actor {
    Actor {
        institution,
        practitioner: person(who),
        roles: roles.iter().copied().collect(),
        slot: None,
    }
}

/// A guardian in slot 0 and the subject in slot 1 ask through the custodian.
pub(crate) fn controller(slot: u8) -> Actor {
    Actor {
        slot: Some(slot),
        ..actor(CUSTODIAN, 100 + slot, &[Role::Controller])
    }
}

pub(crate) fn request(actor: Actor, purpose: Purpose, categories: &[Category]) -> Request {
    Request {
        actor,
        purpose,
        subject: SUBJECT,
        selection: Selection::all(categories.iter().copied()),
        study: None,
        partial: false,
    }
}

pub(crate) fn grant(
    n: u8,
    grantee: Grantee,
    purposes: &[Purpose],
    categories: &[Category],
) -> Grant {
    Grant {
        id: grant_id(n),
        grantee,
        purposes: purposes.iter().copied().collect(),
        categories: categories.iter().copied().collect(),
        from: at(0),
        until: at(LAST + 1),
        exceptions: BTreeSet::new(),
    }
}

pub(crate) fn terms() -> Terms {
    Terms {
        subject: SUBJECT,
        sequence: 5,
        assisted: false,
        controllers: vec![
            Controller {
                slot: 0,
                role: ControllerRole::Guardian,
                label: Label::new("Mama").unwrap(),
                until: None,
            },
            Controller {
                slot: 1,
                role: ControllerRole::Subject,
                label: Label::new("Kim").unwrap(),
                until: None,
            },
        ],
        matures: None,
        grants: vec![],
        restricted: false,
        opted_out: BTreeSet::new(),
    }
}

pub(crate) fn state(edit: impl FnOnce(&mut Terms)) -> ConsentState {
    let mut terms = terms();
    edit(&mut terms);
    ConsentState::new(terms).unwrap()
}

pub(crate) fn facts(now: u64) -> Facts {
    Facts::new(CUSTODIAN, at(now), at(now))
}

pub(crate) fn session(who: u8, opened: u64, until: u64) -> BreakGlass {
    BreakGlass {
        subject: SUBJECT,
        institution: CUSTODIAN,
        opened_by: person(who),
        opened: at(opened),
        until: at(until),
        reason: reason("unconscious in the emergency room"),
    }
}

/// What a decision lets out: every category of every record of every kind at every instant.
pub(crate) type Let = BTreeSet<(Category, RecordId, Option<RecordKind>, u64)>;

pub(crate) fn lets_out(decision: &Decision, from: Millis) -> Let {
    let mut out = Let::new();
    let Some(permit) = decision.permit() else {
        return out;
    };
    let kinds = [None, Some(kind(0)), Some(kind(1)), Some(kind(2))];
    for category in Category::ALL {
        for record in (0..3).map(record) {
            for kind in &kinds {
                for t in from.get()..=HORIZON {
                    if permit.covers(*category, &record, kind.as_ref(), at(t)) {
                        out.insert((*category, record, kind.clone(), t));
                    }
                }
            }
        }
    }
    out
}

/// One question with everything that decides it.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) finalised: ConsentState,
    pub(crate) pending: Vec<ConsentState>,
    pub(crate) request: Request,
    pub(crate) facts: Facts,
}

impl Question {
    pub(crate) fn decide(&self) -> Decision {
        let effective = Effective {
            finalised: &self.finalised,
            pending: &self.pending,
        };
        decide(&wide_policy(), &effective, &self.request, &self.facts)
    }

    pub(crate) fn lets_out(&self) -> Let {
        lets_out(&self.decide(), self.facts.at())
    }

    pub(crate) fn with(&self, finalised: &ConsentState, pending: &[ConsentState]) -> Self {
        Self {
            finalised: finalised.clone(),
            pending: pending.to_vec(),
            ..self.clone()
        }
    }
}

/// The default policy, with a law and an opt-out rule that reach another institution and research.
pub(crate) fn wide_policy() -> Policy {
    let mut policy = Policy::default();
    let outside = |name: &str, purpose| consent::Rule {
        name: name.parse().unwrap(),
        roles: [Role::Clinician, Role::Researcher].into(),
        purposes: [purpose].into(),
        categories: [Category::Phenotype, Category::Laboratory].into(),
        institutions: [OTHER].into(),
    };
    policy.law.push(outside("registry", Purpose::Pubhlth));
    policy.opt_out.push(outside("cohort", Purpose::Dsrch));
    policy.validate().unwrap();
    policy
}

pub(crate) fn questions() -> impl Strategy<Value = Question> {
    let any = (
        states(),
        prop_oneof![Just(vec![]), vec(states(), 0..3)],
        requests(),
        any_facts(),
    );
    let any = any.prop_map(|(finalised, pending, request, facts)| Question {
        finalised,
        pending,
        request,
        facts,
    });
    prop_oneof![3 => any, 1 => research_questions()]
}

/// Questions of a study that might rely on a grant to research, or on a rule.
fn research_questions() -> impl Strategy<Value = Question> {
    let studies = prop_oneof![
        2 => Just(crate::studies::approved(crate::studies::study())),
        1 => crate::studies::study_facts(),
    ];
    let grant = (grants(9), crate::studies::data_uses(), 0u8..2);
    let grant = grant.prop_map(|(mut grant, data_use, general)| {
        let anything = consent::DataUse::of(consent::Permission::GeneralResearch, []);
        grant.grantee = Grantee::Research(if general == 0 { anything } else { data_use });
        grant.purposes = [Purpose::Hresch, Purpose::Dsrch].into();
        grant
    });
    let grant = grant.boxed();
    let states = || {
        (states(), vec(grant.clone(), 1..2)).prop_map(|(state, more)| {
            let mut terms = state.into_terms();
            terms.grants.extend(more);
            ConsentState::new(terms).unwrap()
        })
    };
    let asked = (
        select(vec![Purpose::Hresch, Purpose::Dsrch]),
        subsequence(vec![Category::Phenotype, Category::Laboratory], 1..=2),
        proptest::bool::ANY,
    );
    let pending = prop_oneof![3 => Just(vec![]).boxed(), 1 => vec(states(), 1..2).boxed()];
    (states(), pending, asked, 0..=LAST, studies).prop_map(
        |(finalised, pending, (purpose, categories, partial), now, study)| Question {
            finalised,
            pending,
            request: Request {
                actor: actor(OTHER, 0, &[Role::Researcher]),
                purpose,
                subject: SUBJECT,
                selection: Selection::all(categories),
                study: Some(STUDY),
                partial,
            },
            facts: Facts {
                studies: [(STUDY, study)].into(),
                ..facts(now)
            },
        },
    )
}

/// Questions with one state and nothing that bars grants as such.
pub(crate) fn plain_questions() -> impl Strategy<Value = Question> {
    (states(), requests(), 0..=LAST, any_studies()).prop_map(
        |(finalised, request, now, studies)| Question {
            finalised,
            pending: vec![],
            request,
            facts: Facts {
                studies,
                ..facts(now)
            },
        },
    )
}

const PURPOSES: &[Purpose] = &[
    Purpose::Treat,
    Purpose::Treat,
    Purpose::Treat,
    Purpose::Etreat,
    Purpose::Btg,
    Purpose::Hresch,
    Purpose::Dsrch,
    Purpose::Patrqt,
    Purpose::Famrqt,
    Purpose::Pubhlth,
    Purpose::Hqualimp,
    Purpose::Hsysadmin,
    Purpose::Patadmin,
];

fn some_categories(
    count: std::ops::RangeInclusive<usize>,
) -> impl Strategy<Value = BTreeSet<Category>> {
    subsequence(Category::ALL.to_vec(), count).prop_map(|c| c.into_iter().collect())
}

fn institutions() -> impl Strategy<Value = InstitutionId> {
    select(vec![CUSTODIAN, OTHER, OTHER, THIRD])
}

fn grantees() -> impl Strategy<Value = Grantee> {
    prop_oneof![
        3 => institutions().prop_map(Grantee::Institution),
        1 => (institutions(), 0u8..2).prop_map(|(institution, who)| {
            Grantee::Practitioner(PractitionerAt { institution, practitioner: person(who) })
        }),
        1 => Just(Grantee::Study(STUDY)),
        1 => crate::studies::data_uses().prop_map(Grantee::Research),
    ]
}

pub(crate) fn exceptions() -> impl Strategy<Value = Exception> {
    prop_oneof![
        (0u8..3).prop_map(|n| Exception::Record(record(n))),
        (0u8..2).prop_map(|n| Exception::Kind(kind(n))),
        (0u8..2).prop_map(|n| Exception::Practitioner(person(n))),
    ]
}

pub(crate) fn grants(id: u8) -> impl Strategy<Value = Grant> {
    let purposes: Vec<Purpose> = PURPOSES
        .iter()
        .copied()
        .filter(|p| p.is_grantable())
        .collect();
    (
        grantees(),
        btree_set(select(purposes), 1..4),
        some_categories(2..=5),
        (0..LAST / 2, 2..=LAST),
        btree_set(exceptions(), 0..3),
    )
        .prop_map(
            move |(grantee, mut purposes, categories, (from, length), exceptions)| {
                if matches!(grantee, Grantee::Study(_) | Grantee::Research(_)) {
                    purposes.retain(|p| p.is_research());
                    purposes.insert(Purpose::Hresch);
                }
                Grant {
                    id: grant_id(id),
                    grantee,
                    purposes,
                    categories,
                    from: at(from),
                    until: at(from + length),
                    exceptions,
                }
            },
        )
}

pub(crate) fn states() -> impl Strategy<Value = ConsentState> {
    let grants = subsequence((0u8..6).collect::<Vec<_>>(), 0..=6)
        .prop_flat_map(|ids| ids.into_iter().map(grants).collect::<Vec<_>>());
    let end = proptest::option::weighted(0.3, (0..=LAST).prop_map(at));
    (
        grants,
        (end.clone(), end),
        proptest::bool::weighted(0.15),
        btree_set(
            select(vec![Purpose::Hoperat, Purpose::Hqualimp, Purpose::Hresch]),
            0..2,
        ),
        (proptest::bool::ANY, proptest::bool::ANY),
    )
        .prop_map(
            |(grants, (until, matures), restricted, opted_out, (subject, assisted))| {
                state(|terms| {
                    terms.grants = grants;
                    terms.matures = matures;
                    terms.restricted = restricted;
                    terms.opted_out = opted_out;
                    terms.assisted = assisted;
                    if let Some(guardian) = terms.controllers.first_mut() {
                        guardian.until = until;
                    }
                    if !subject {
                        terms.controllers.truncate(1);
                    }
                })
            },
        )
}

fn some_roles() -> impl Strategy<Value = BTreeSet<Role>> {
    btree_set(select(Role::ALL.to_vec()), 0..4)
}

/// Who asks for what: mostly someone who might, sometimes anyone.
fn askers() -> impl Strategy<Value = (Actor, Purpose)> {
    let slot = || proptest::option::of(0u8..3);
    let anyone = (institutions(), 0u8..2, some_roles(), slot()).prop_map(
        |(institution, who, roles, slot)| Actor {
            institution,
            practitioner: person(who),
            roles,
            slot,
        },
    );
    let one = |institutions: &[InstitutionId], role, purposes: &[Purpose]| {
        let (institutions, purposes) = (institutions.to_vec(), purposes.to_vec());
        (select(institutions), 0u8..2, 0u8..3, select(purposes)).prop_map(
            move |(institution, who, slot, purpose)| {
                let slot = (role == Role::Controller).then_some(slot);
                let actor = actor(institution, who, &[role]);
                (Actor { slot, ..actor }, purpose)
            },
        )
    };
    use Purpose::{
        Btg, Dsrch, Etreat, Famrqt, Hqualimp, Hresch, Hsysadmin, Patrqt, Pubhlth, Treat,
    };
    prop_oneof![
        4 => one(&[OTHER, OTHER, THIRD], Role::Clinician, &[Treat, Treat, Etreat, Pubhlth]),
        3 => one(&[OTHER, OTHER, CUSTODIAN], Role::Researcher, &[Hresch, Dsrch, Pubhlth]),
        2 => one(&[CUSTODIAN], Role::Clinician, &[Treat, Etreat, Btg, Hqualimp]),
        2 => one(&[CUSTODIAN], Role::Controller, &[Patrqt, Famrqt]),
        1 => one(&[CUSTODIAN], Role::System, &[Hsysadmin]),
        3 => (anyone, select(PURPOSES.to_vec())),
    ]
}

pub(crate) fn requests() -> impl Strategy<Value = Request> {
    let records = prop_oneof![
        2 => Just(Records::All),
        1 => btree_set((0u8..3).prop_map(record), 1..3).prop_map(Records::Only),
    ];
    (
        askers(),
        (some_categories(1..=3), records),
        proptest::option::weighted(0.4, Just(STUDY)),
        proptest::bool::ANY,
    )
        .prop_map(
            |((actor, purpose), (categories, records), study, partial)| Request {
                actor,
                purpose,
                subject: SUBJECT,
                selection: Selection {
                    categories,
                    records,
                },
                study,
                partial,
            },
        )
}

/// None, one of which nothing is known, one that keeps most conditions, any.
fn any_studies() -> impl Strategy<Value = BTreeMap<StudyId, StudyFacts>> {
    let one = |facts| BTreeMap::from([(STUDY, facts)]);
    prop_oneof![
        2 => Just(BTreeMap::new()),
        2 => Just(one(StudyFacts::active())),
        1 => Just(one(crate::studies::approved(crate::studies::study()))),
        3 => crate::studies::study_facts().prop_map(one),
    ]
}

fn any_facts() -> impl Strategy<Value = Facts> {
    (
        (0..=LAST, 0..=LAST),
        select(vec![0, 0, 0, 60_000, 60_001]),
        select(vec![
            Opening::Matches,
            Opening::Matches,
            Opening::Matches,
            Opening::Matches,
            Opening::NoLeaf,
            Opening::Mismatch,
        ]),
        (
            proptest::bool::weighted(0.1),
            proptest::bool::weighted(0.05),
        ),
        proptest::option::of((0u8..2, 0..=LAST, 0..=LAST)),
        (any_studies(), proptest::bool::ANY),
    )
        .prop_map(
            |((now, block), ledger_age_ms, opening, (closed, erased), glass, (studies, kinds))| {
                Facts {
                    custodian: CUSTODIAN,
                    now: at(now),
                    block_time: at(block),
                    ledger_age_ms,
                    opening,
                    closed,
                    erased,
                    break_glass: glass.map(|(who, opened, until)| session(who, opened, until)),
                    studies,
                    record_kinds: if kinds {
                        (0..3).map(|n| (record(n), kind(n))).collect()
                    } else {
                        BTreeMap::new()
                    },
                }
            },
        )
}
