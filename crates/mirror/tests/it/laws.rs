//! Laws of reading a Consent, against a naive evaluator of provisions that knows nothing of how they are read.

use crate::consent_write::{HERE, THERE, frame};
use crate::tree::{
    Ask, LAST, Node, PURPOSES, START, STUDY, THIRD, consent_of, deep, kind, person, record,
    spliced, tidy, tree,
};
use codec::{Category, GrantId, InstitutionId, Millis, RecordId, StudyId, SubjectId};
use consent::{
    Actor, ConsentState, Controller, ControllerRole, Country, Effective, Exception, Facts, Grant,
    Grantee, Label, Limits, Organisation, Period, Policy, PractitionerAt, PractitionerId, Purpose,
    Reason, RecordKind, Records, Request, ResearchType, Role, RuleName, Selection, SharingRule,
    Signature, Study, StudyFacts, StudyUse, Terms, decide,
};
use mirror::{
    Directory, Named, Party, Stated, consent_read, consent_write, opt_outs_write, restriction_write,
};
use proptest::collection::btree_set;
use proptest::prelude::*;
use proptest::sample::select;
use std::collections::{BTreeMap, BTreeSet};

pub(crate) const SUBJECT: SubjectId = SubjectId::new([7; 32]);
/// Knows institutions and records by their own ids, and one patient.
pub(crate) struct Own;

impl Directory for Own {
    fn custodian(&self) -> InstitutionId {
        HERE
    }

    fn subject(&self, patient: &Named<'_>) -> Option<SubjectId> {
        (patient.reference.as_deref() == Some("Patient/p1")).then_some(SUBJECT)
    }

    fn party(&self, named: &Named<'_>) -> Option<Party> {
        let id = named.reference.as_ref()?.strip_prefix("Organization/")?;
        Some(Party::Institution(id.parse().ok()?))
    }

    fn record(&self, named: &Named<'_>) -> Option<RecordId> {
        named.reference.as_ref()?.split_once('/')?.1.parse().ok()
    }
}

/// Everything that can be asked in this world.
fn asks() -> Vec<Ask> {
    let mut asks = Vec::new();
    for institution in [HERE, THERE, THIRD] {
        for (person, study) in [(0, false), (1, false), (0, true)] {
            for purpose in PURPOSES {
                for category in Category::ALL {
                    for record in 0..3 {
                        for at in 0..LAST {
                            asks.push(Ask {
                                institution,
                                person,
                                study,
                                purpose,
                                category: *category,
                                record,
                                at,
                            });
                        }
                    }
                }
            }
        }
    }
    asks
}

/// What the product decides, of a subject with this grant alone at an institution that shares whatever is granted.
struct Product {
    policy: Policy,
    state: ConsentState,
}

impl Product {
    fn of(grant: Grant) -> Self {
        let policy = Policy {
            care: Vec::new(),
            law: Vec::new(),
            opt_out: Vec::new(),
            sharing: vec![SharingRule {
                name: RuleName::new("all").unwrap(),
                roles: BTreeSet::from([Role::Clinician]),
                purposes: PURPOSES.into(),
            }],
            ..Policy::default()
        };
        policy.validate().unwrap();
        let state = ConsentState::new(Terms {
            subject: SUBJECT,
            sequence: 1,
            assisted: false,
            controllers: vec![Controller {
                slot: 0,
                role: ControllerRole::Subject,
                label: Label::new("Kim").unwrap(),
                until: None,
            }],
            matures: None,
            grants: vec![grant],
            restricted: false,
            opted_out: BTreeSet::new(),
        });
        Self {
            policy,
            state: state.unwrap(),
        }
    }

    fn permits(&self, ask: &Ask) -> bool {
        let at = Millis::new(START + ask.at);
        let mut facts = Facts::new(HERE, at, at);
        facts.studies = BTreeMap::from([(STUDY, study())]);
        facts.record_kinds = BTreeMap::from([(record(ask.record), kind(ask.record))]);
        let request = Request {
            actor: Actor {
                institution: ask.institution,
                practitioner: person(ask.person),
                roles: BTreeSet::from([Role::Clinician]),
                slot: None,
            },
            purpose: ask.purpose,
            subject: SUBJECT,
            selection: Selection {
                categories: BTreeSet::from([ask.category]),
                records: Records::Only(BTreeSet::from([record(ask.record)])),
            },
            study: ask.study.then_some(STUDY),
            partial: false,
        };
        let effective = Effective::of(&self.state);
        decide(&self.policy, &effective, &request, &facts)
            .permit()
            .is_some()
    }
}

/// The study of this world: everybody takes part, it is for all research and everything, it was approved here;
/// and it keeps what [`crate::tree::Use`] says that it keeps.
fn study() -> StudyFacts {
    let start = Millis::new(START);
    let signed = |institution| Signature {
        by: PractitionerAt {
            institution,
            practitioner: person(7),
        },
        at: start,
    };
    let declared = StudyUse {
        study: STUDY,
        research: BTreeSet::from([ResearchType::Health]),
        diseases: BTreeSet::new(),
        genetic: false,
        commercial: false,
        organisation: Organisation::NonProfit,
        institutions: BTreeSet::from([HERE, THERE, THIRD]),
        users: BTreeSet::new(),
        countries: BTreeSet::from([Country::new("DE").unwrap()]),
        ethics: None,
        publishes_from: None,
        collaborates: false,
        returns: false,
        period: Period {
            from: start,
            until: start.saturating_add(LAST),
        },
        sensitive: BTreeSet::new(),
        other: None,
    };
    let study = Study {
        title: Label::new("Bones").unwrap(),
        summary: Reason::new("How bones break.").unwrap(),
        institution: THERE,
        declared,
        purposes: BTreeSet::from([Purpose::Hresch, Purpose::Dsrch]),
        categories: Category::ALL.iter().copied().collect(),
        limits: Limits {
            k: 5,
            linked_per_mille: 0,
        },
        proposed: signed(THERE),
        approvals: Vec::new(),
        agreement: None,
    };
    study.validate().unwrap();
    StudyFacts {
        active: true,
        study: Some(study),
        approval: Some(signed(HERE)),
        ..StudyFacts::default()
    }
}

/// Holds what was read of a tree against the tree. Whether it was read.
fn hold(root: &Node, asks: &[Ask]) -> Result<bool, TestCaseError> {
    let source = consent_of(root, "OPTOUTE");
    let Ok(stated) = consent_read(&source, &Own) else {
        return Ok(false);
    };
    let Stated::Grant(draft) = stated else {
        return Err(TestCaseError::fail("it was read as something else"));
    };
    let product = Product::of(draft.grant(GrantId::new([1; 16])));
    for ask in asks {
        let permitted = product.permits(ask);
        // Never more; and never less either, for then something was dropped.
        prop_assert_eq!(permitted, root.permits(ask), "{:?} {:?}", ask, root);
    }
    // Under a base that permits, nothing is read.
    prop_assert!(consent_read(&consent_of(root, "OPTIN"), &Own).is_err());
    Ok(true)
}

fn grants() -> impl Strategy<Value = Grant> {
    let exception = prop_oneof![
        any::<[u8; 16]>().prop_map(|id| Exception::Record(RecordId::new(id))),
        "[A-Za-z0-9._/-]{1,64}".prop_map(|kind| Exception::Kind(RecordKind::new(kind).unwrap())),
        select(vec!["Observation", "Patient"])
            .prop_map(|kind| Exception::Kind(RecordKind::new(kind).unwrap())),
        "[a-z\"\\\\é]{1,20}"
            .prop_map(|id| Exception::Practitioner(PractitionerId::new(id).unwrap())),
    ];
    let institution = any::<[u8; 16]>().prop_map(InstitutionId::new);
    let grantee = prop_oneof![
        institution.clone().prop_map(Grantee::Institution),
        (institution, "[ -~]{1,20}").prop_filter_map("an id", |(institution, id)| {
            let practitioner = PractitionerId::new(id).ok()?;
            Some(Grantee::Practitioner(PractitionerAt {
                institution,
                practitioner,
            }))
        }),
        any::<[u8; 16]>().prop_map(|id| Grantee::Study(StudyId::new(id))),
        crate::conditions::data_uses().prop_map(Grantee::Research),
    ];
    (
        any::<[u8; 16]>(),
        grantee,
        btree_set(select(Purpose::ALL.to_vec()), 1..6),
        btree_set(select(Category::ALL.to_vec()), 1..6),
        0..200_000_000_000_000_u64,
        1..50_000_000_000_000_u64,
        btree_set(exception, 0..8),
    )
        .prop_map(
            |(id, grantee, purposes, categories, from, lasts, exceptions)| {
                let is_study = matches!(grantee, Grantee::Study(_) | Grantee::Research(_));
                let fits = |p: &Purpose| p.is_grantable() && (!is_study || p.is_research());
                Grant {
                    id: GrantId::new(id),
                    grantee,
                    purposes: purposes.into_iter().filter(fits).collect(),
                    categories,
                    from: Millis::new(from),
                    until: Millis::new(from + lasts),
                    exceptions,
                }
            },
        )
        .prop_filter("a grant", |grant| grant.validate().is_ok())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read_as_it_was(grant in grants(), known in any::<bool>()) {
        let records = grant.exceptions.iter().filter_map(|exception| match exception {
            Exception::Record(id) if known => Some((*id, kind(id.as_bytes()[0] % 3))),
            _ => None,
        });
        let written = consent_write(&grant, &records.collect(), &frame());
        fhir::Parsed::parse(&written).unwrap();
        let Ok(Stated::Grant(draft)) = consent_read(&written, &Own) else {
            return Err(TestCaseError::fail("it was not read as a grant"));
        };
        prop_assert_eq!(draft.subject, SUBJECT);
        prop_assert_eq!(draft.id, Some(grant.id));
        let id = grant.id;
        prop_assert_eq!(draft.grant(id), grant.clone());
        // And once it is over, as a revocation.
        let over = mirror::Frame { is_over: true, ..frame() };
        let written = consent_write(&grant, &BTreeMap::new(), &over);
        let revoked = Stated::Revocation { subject: SUBJECT, grant: id };
        prop_assert_eq!(consent_read(&written, &Own).ok(), Some(revoked));
    }

    #[test]
    fn opt_outs_are_read_as_they_were(purposes in btree_set(select(Purpose::ALL.to_vec()), 1..6)) {
        let written = opt_outs_write(&purposes, &frame()).unwrap();
        let read = consent_read(&written, &Own).ok();
        prop_assert_eq!(read, Some(Stated::OptOuts { subject: SUBJECT, purposes }));
    }

    #[test]
    fn damaged_consents_are_read_or_refused_and_never_a_panic(
        grant in grants(), at in any::<prop::sample::Index>(), byte in any::<u8>()
    ) {
        let mut written = consent_write(&grant, &BTreeMap::new(), &frame());
        let at = at.index(written.len());
        written[at] = byte;
        if let Err(issues) = consent_read(&written, &Own) {
            prop_assert!(!issues.is_empty());
            prop_assert!(issues.iter().all(|issue| issue.expression.len() == 1));
        }
    }
}

proptest! {
    // Each case asks everything that can be asked.
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_permitted_that_the_provisions_deny(root in tree()) {
        hold(&root, &asks())?;
    }

    #[test]
    fn all_is_permitted_that_the_provisions_permit(root in tidy()) {
        hold(&root, &asks())?;
    }

    #[test]
    fn permissions_within_permissions_are_read_exactly(root in deep()) {
        hold(&root, &asks())?;
    }

    #[test]
    fn one_odd_thing_is_read_rightly_or_not_at_all(root in spliced()) {
        hold(&root, &asks())?;
    }
}

#[test]
fn enough_of_both_kinds_of_trees_are_read() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let mut read = [0; 4];
    let mut to_research = 0;
    for _ in 0..400 {
        let wild = tree().new_tree(&mut runner).unwrap().current();
        let tidy = tidy().new_tree(&mut runner).unwrap().current();
        let spliced = spliced().new_tree(&mut runner).unwrap().current();
        let deep = deep().new_tree(&mut runner).unwrap().current();
        to_research += usize::from(deep.conditions().is_some() && hold(&deep, &[]).unwrap());
        for (count, root) in read.iter_mut().zip([wild, tidy, spliced, deep]) {
            *count += usize::from(hold(&root, &[]).unwrap());
        }
    }
    assert!(
        read[0] > 0 && read[1] >= 150 && read[2] >= 40 && read[3] >= 150 && to_research >= 50,
        "{read:?}, {to_research} of 400"
    );
}

#[test]
fn a_restriction_is_read_as_it_was() {
    let read = consent_read(&restriction_write(&frame()), &Own).unwrap();
    assert_eq!(read, Stated::Restriction { subject: SUBJECT });
}
