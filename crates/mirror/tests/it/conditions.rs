//! A grant to research as Consent: by a hand-made document, by laws, and what is refused where.

use crate::check;
use crate::consent_write::{HERE, THERE, frame, grant};
use crate::laws::{Own, SUBJECT};
use codec::{InstitutionId, Millis, StudyId};
use consent::{
    Clause, Country, Curie, DataUse, Duo, Exception, Grant, Grantee, Modifier, Period, Permission,
    PractitionerAt, PractitionerId, Purpose, Topic,
};
use mirror::{MAX_BYTES, Stated, consent_read, consent_write};
use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

fn people() -> impl Strategy<Value = PractitionerAt> {
    (any::<[u8; 16]>(), "[a-z\"é]{1,20}").prop_map(|(institution, id)| PractitionerAt {
        institution: InstitutionId::new(institution),
        practitioner: PractitionerId::new(id).unwrap(),
    })
}

fn modifiers() -> impl Strategy<Value = Modifier> {
    let topic = "[A-Za-z\"\\\\é]{1,20}( [a-z]{1,9})?";
    let instants = 1..200_000_000_000_000_u64;
    prop_oneof![
        topic.prop_map(|text| Modifier::Topic(Topic::new(text).unwrap())),
        btree_set("[A-Z]{2}", 1..4).prop_map(|list| {
            Modifier::Countries(list.iter().map(|c| Country::new(c).unwrap()).collect())
        }),
        instants
            .clone()
            .prop_map(|at| Modifier::Moratorium(Millis::new(at))),
        (instants.clone(), instants).prop_map(|(from, lasts)| Modifier::Within(Period {
            from: Millis::new(from),
            until: Millis::new(from + lasts / 8),
        })),
        btree_set(people(), 1..4).prop_map(Modifier::Users),
        btree_set(any::<[u8; 16]>(), 1..4)
            .prop_map(|list| { Modifier::Studies(list.into_iter().map(StudyId::new).collect()) }),
        btree_set(any::<[u8; 16]>(), 1..4).prop_map(|list| {
            Modifier::Institutions(list.into_iter().map(InstitutionId::new).collect())
        }),
        select(bare()),
    ]
}

fn bare() -> Vec<Modifier> {
    vec![
        Modifier::NoMethods,
        Modifier::GeneticOnly,
        Modifier::NonProfitOrganisation,
        Modifier::Publication,
        Modifier::Collaboration,
        Modifier::EthicsApproval,
        Modifier::Return,
        Modifier::ClinicalCare,
        Modifier::NonCommercial,
        Modifier::NonProfitNonCommercial,
        Modifier::NoAncestry,
    ]
}

pub(crate) fn data_uses() -> impl Strategy<Value = DataUse> {
    let diseases = btree_set("(MONDO|OMIM):[0-9]{1,7}", 1..4).prop_map(|list| {
        Permission::Diseases(list.iter().map(|d| Curie::new(d).unwrap()).collect())
    });
    let permission = prop_oneof![
        1 => Just(Permission::NoRestriction),
        1 => Just(Permission::GeneralResearch),
        1 => Just(Permission::HealthResearch),
        1 => Just(Permission::Ancestry),
        3 => diseases,
    ];
    let clause = (permission, vec(modifiers(), 0..5)).prop_map(|(permission, all)| {
        let mut modifiers: BTreeMap<Duo, Modifier> = BTreeMap::new();
        for modifier in all {
            modifiers.insert(modifier.duo(), modifier);
        }
        match permission {
            Permission::NoRestriction => modifiers.clear(),
            Permission::Ancestry => {
                modifiers.remove(&Duo::Npoa);
            }
            _ => {}
        }
        Clause {
            permission,
            modifiers: modifiers.into_values().collect(),
        }
    });
    btree_set(clause, 1..=DataUse::MAX_CLAUSES).prop_map(|clauses| {
        let data_use = DataUse { clauses };
        data_use.validate().unwrap();
        data_use
    })
}

pub(crate) fn to_research(data_use: DataUse) -> Grant {
    Grant {
        grantee: Grantee::Research(data_use),
        purposes: BTreeSet::from([Purpose::Hresch, Purpose::Dsrch]),
        exceptions: BTreeSet::new(),
        ..grant()
    }
}

/// Every term with its arguments, in two clauses.
pub(crate) fn sample() -> DataUse {
    let diseases = ["MONDO:0009861", "ORPHA:666"];
    let mut all = bare();
    all.extend([
        Modifier::Topic(Topic::new("brittle bones").unwrap()),
        Modifier::Countries(["DE", "FR"].map(|c| Country::new(c).unwrap()).into()),
        Modifier::Moratorium(Millis::new(1_798_761_600_000)),
        Modifier::Within(Period {
            from: Millis::new(1_767_225_600_000),
            until: Millis::new(1_798_761_600_000),
        }),
        Modifier::Users(BTreeSet::from([PractitionerAt {
            institution: THERE,
            practitioner: PractitionerId::new("researcher-1").unwrap(),
        }])),
        Modifier::Studies(BTreeSet::from([StudyId::new([9; 16])])),
        Modifier::Institutions(BTreeSet::from([HERE, THERE])),
    ]);
    let diseases = diseases.map(|d| Curie::new(d).unwrap());
    let mut sample = DataUse::of(Permission::Diseases(diseases.into()), all);
    let free = DataUse::of(Permission::HealthResearch, []);
    sample.clauses.extend(free.clauses);
    sample
}

fn written(data_use: DataUse) -> Value {
    let written = consent_write(&to_research(data_use), &BTreeMap::new(), &frame());
    serde_json::from_slice(&written).unwrap()
}

const PERMIT: &str = "/provision/provision/0";

#[test]
fn every_term_as_it_is_written() {
    let term = |id: &str, arguments: Vec<Value>| {
        let system = "http://purl.obolibrary.org/obo/duo.owl";
        let mut parts = vec![json!({"url": "code", "valueCoding": {"system": system, "code": id}})];
        parts.extend(arguments);
        json!({"url": "term", "extension": parts})
    };
    let clause = |terms: Vec<Value>| json!({"url": "urn:ithaca:data-use", "extension": terms});
    let logical = |url: &str, of: &str, system: &str, value: &str| {
        let identifier = json!({"system": system, "value": value});
        json!({"url": url, "valueReference": {"type": of, "identifier": identifier}})
    };
    let (here, there) = ("aa".repeat(16), "bb".repeat(16));
    let country = |code: &str| json!({"url": "country", "valueCoding": {"system": "urn:iso:std:iso:3166", "code": code}});
    let disease = |id: &str| json!({"url": "disease", "valueString": id});
    let organisation =
        |id: &str| logical("institution", "Organization", "urn:ithaca:institution", id);
    let user = format!("urn:ithaca:practitioner:{there}");
    let expected = json!([
        clause(vec![term("DUO:0000006", vec![])]),
        clause(vec![
            term(
                "DUO:0000007",
                vec![disease("MONDO:0009861"), disease("ORPHA:666")]
            ),
            term(
                "DUO:0000012",
                vec![json!({"url": "topic", "valueString": "brittle bones"})]
            ),
            term("DUO:0000015", vec![]),
            term("DUO:0000016", vec![]),
            term("DUO:0000045", vec![]),
            term("DUO:0000019", vec![]),
            term("DUO:0000020", vec![]),
            term("DUO:0000021", vec![]),
            term("DUO:0000022", vec![country("DE"), country("FR")]),
            term(
                "DUO:0000024",
                vec![json!({"url": "from", "valueInstant": "2027-01-01T00:00:00.000Z"}),]
            ),
            term(
                "DUO:0000025",
                vec![json!({"url": "period", "valuePeriod": {
                    "start": "2026-01-01T00:00:00.000Z", "end": "2026-12-31T23:59:59.999Z",
                }})]
            ),
            term(
                "DUO:0000026",
                vec![logical("user", "Practitioner", &user, "researcher-1")]
            ),
            term(
                "DUO:0000027",
                vec![logical(
                    "study",
                    "ResearchStudy",
                    "urn:ithaca:study",
                    &"09".repeat(16)
                ),]
            ),
            term(
                "DUO:0000028",
                vec![organisation(&here), organisation(&there)]
            ),
            term("DUO:0000029", vec![]),
            term("DUO:0000043", vec![]),
            term("DUO:0000046", vec![]),
            term("DUO:0000018", vec![]),
            term("DUO:0000044", vec![]),
        ]),
    ]);
    let consent = written(sample());
    let permit = consent.pointer(PERMIT).unwrap();
    check(
        &serde_json::to_vec(&permit["modifierExtension"]).unwrap(),
        &expected,
    );
    assert_eq!(permit.get("actor"), None);
    assert_eq!(consent["scope"]["coding"][0]["code"], "research");
    let codes = serde_json::to_string(&expected).unwrap();
    // All but the four permissions that stand elsewhere.
    let absent: Vec<Duo> = Duo::ALL
        .iter()
        .copied()
        .filter(|term| !codes.contains(&term.id()))
        .collect();
    assert_eq!(absent, [Duo::Nres, Duo::Poa, Duo::Gru]);
}

fn read(consent: &Value) -> Result<Stated, Vec<mirror::Issue>> {
    consent_read(&serde_json::to_vec(consent).unwrap(), &Own)
}

#[test]
fn the_largest_grant_survives() {
    let id = |n: u8| [n; 16];
    let person = |n: u8| PractitionerAt {
        institution: InstitutionId::new(id(n)),
        practitioner: PractitionerId::new(format!("{}{n:03}", "\"".repeat(125))).unwrap(),
    };
    let all = |at: u8| {
        let n = 0..32_u8;
        let mut all = bare();
        all.extend([
            Modifier::Topic(Topic::new("\"".repeat(300)).unwrap()),
            Modifier::Countries(
                n.clone()
                    .map(|n| {
                        let letters = [b'A' + n / 26, b'A' + n % 26];
                        Country::new(std::str::from_utf8(&letters).unwrap()).unwrap()
                    })
                    .collect(),
            ),
            Modifier::Moratorium(Millis::new(u64::from(at))),
            Modifier::Within(Period {
                from: Millis::new(1),
                until: Millis::new(2),
            }),
            Modifier::Users(n.clone().map(person).collect()),
            Modifier::Studies(n.clone().map(|n| StudyId::new(id(n))).collect()),
            Modifier::Institutions(n.clone().map(|n| InstitutionId::new(id(n))).collect()),
        ]);
        let long = |n| Curie::new(format!("{}:{n:03}", "D".repeat(60))).unwrap();
        DataUse::of(Permission::Diseases(n.map(long).collect()), all).clauses
    };
    let data_use = DataUse {
        clauses: (0..DataUse::MAX_CLAUSES)
            .flat_map(|n| all(u8::try_from(n).unwrap()))
            .collect(),
    };
    let mut largest = to_research(data_use);
    largest.exceptions = (0..64_u8)
        .map(|n| Exception::Practitioner(person(n).practitioner))
        .collect();
    largest.validate().unwrap();
    let written = consent_write(&largest, &BTreeMap::new(), &frame());
    assert!(written.len() < MAX_BYTES, "{}", written.len());
    let Ok(Stated::Grant(draft)) = consent_read(&written, &Own) else {
        panic!("not read");
    };
    assert_eq!(draft.subject, SUBJECT);
    assert_eq!(draft.grant(largest.id), largest);
}

/// One thing of the sample changed, and where it is refused.
#[test]
fn what_conditions_cannot_say_is_refused_where_it_stands() {
    const AT: &str = "Consent.provision.provision[0]";
    let check = |edit: &dyn Fn(&mut Value), expected: &[&str]| {
        let mut consent = written(sample());
        edit(consent.pointer_mut(PERMIT).unwrap());
        let issues = read(&consent).unwrap_err();
        let found: Vec<String> = issues
            .iter()
            .map(|issue| {
                format!(
                    "{} {}",
                    issue.code,
                    issue.expression.join("|").replace(AT, "")
                )
            })
            .collect();
        assert_eq!(found, expected, "{issues:?}");
        let said: Vec<_> = issues
            .iter()
            .filter_map(|i| i.diagnostics.clone())
            .collect();
        assert!(!said.join(" ").contains("bones"), "{said:?}");
    };
    let own = |at: &'static str, value: Value| {
        move |permit: &mut Value| *permit.pointer_mut(at).unwrap() = value.clone()
    };
    const SECOND: &str = ".modifierExtension[1].extension";
    let place = |kind: &str, rest: &str| format!("{kind} {SECOND}{rest}");
    // Somebody else's extension beside it.
    let foreign = |permit: &mut Value| {
        let list = permit["modifierExtension"].as_array_mut().unwrap();
        list.push(json!({"url": "urn:x", "valueCode": "x"}));
    };
    // Nothing is permitted by conditions that are not read, and nobody is named instead.
    let lacks = "required .actor";
    check(&foreign, &["not-supported .modifierExtension", lacks]);
    check(
        &own("/modifierExtension", json!([])),
        &[
            "structure .modifierExtension",
            "business-rule .modifierExtension",
            lacks,
        ],
    );
    check(
        &own(
            "/modifierExtension/1/extension/0/extension/0/valueCoding/code",
            json!("DUO:0000005"),
        ),
        &[&place("code-invalid", "[0].extension[0]"), lacks],
    );
    check(
        &own(
            "/modifierExtension/1/extension/0/extension/0/valueCoding/system",
            json!("urn:x"),
        ),
        &[&place("code-invalid", "[0].extension[0]"), lacks],
    );
    // A permission twice, none, a modifier twice.
    check(
        &|permit| {
            let terms = permit
                .pointer_mut("/modifierExtension/1/extension")
                .unwrap();
            let terms = terms.as_array_mut().unwrap();
            terms.push(terms[0].clone());
        },
        &["value .modifierExtension[1]", lacks],
    );
    check(
        &|permit| {
            let terms = permit
                .pointer_mut("/modifierExtension/1/extension")
                .unwrap();
            terms.as_array_mut().unwrap().remove(0);
        },
        &["value .modifierExtension[1]", lacks],
    );
    check(
        &|permit| {
            let terms = permit
                .pointer_mut("/modifierExtension/1/extension")
                .unwrap();
            let terms = terms.as_array_mut().unwrap();
            terms.push(terms[2].clone());
        },
        &["value .modifierExtension[1]", lacks],
    );
    // Arguments: none, one that is another's, one too many, one of another kind.
    check(
        &|permit| {
            let term = permit
                .pointer_mut("/modifierExtension/1/extension/0/extension")
                .unwrap();
            term.as_array_mut().unwrap().truncate(1);
        },
        &[&place("required", "[0]"), lacks],
    );
    check(
        &own(
            "/modifierExtension/1/extension/0/extension/1/url",
            json!("country"),
        ),
        &[&place("value", "[0].extension[1]"), lacks],
    );
    check(
        &|permit| {
            let term = permit
                .pointer_mut("/modifierExtension/1/extension/2/extension")
                .unwrap();
            let argument = json!({"url": "disease", "valueString": "D:1"});
            term.as_array_mut().unwrap().push(argument);
        },
        &[&place("not-supported", "[2].extension[1]"), lacks],
    );
    check(
        &|permit| {
            let term = permit
                .pointer_mut("/modifierExtension/1/extension/1/extension")
                .unwrap();
            let argument = json!({"url": "topic", "valueString": "hearts"});
            term.as_array_mut().unwrap().push(argument);
        },
        &[&place("value", "[1]"), lacks],
    );
    for wrong in [json!("not a term"), json!(7), json!("a:b:c")] {
        check(
            &own(
                "/modifierExtension/1/extension/0/extension/1/valueString",
                wrong,
            ),
            &[&place("value", "[0].extension[1]"), lacks],
        );
    }
    check(
        &own(
            "/modifierExtension/1/extension/8/extension/1/valueCoding/code",
            json!("de"),
        ),
        &[&place("value", "[8].extension[1]"), lacks],
    );
    check(
        &own(
            "/modifierExtension/1/extension/8/extension/1/valueCoding/system",
            json!("urn:x"),
        ),
        &[&place("value", "[8].extension[1]"), lacks],
    );
    check(
        &own(
            "/modifierExtension/1/extension/9/extension/1/valueInstant",
            json!("2027-01-01"),
        ),
        &[&place("value", "[9].extension[1]"), lacks],
    );
    check(
        &own(
            "/modifierExtension/1/extension/10/extension/1/valuePeriod",
            json!({"start": "2026"}),
        ),
        &[&place("value", "[10].extension[1]"), lacks],
    );
    let reversed = json!({"start": "2026-01-02", "end": "2026-01-01"});
    check(
        &own(
            "/modifierExtension/1/extension/10/extension/1/valuePeriod",
            reversed,
        ),
        &["business-rule .modifierExtension", lacks],
    );
    let group = json!("Group");
    check(
        &own(
            "/modifierExtension/1/extension/12/extension/1/valueReference/type",
            group,
        ),
        &[&place("value", "[12].extension[1]"), lacks],
    );
    // Something beside the value that might change it.
    check(
        &|permit| {
            let at = "/modifierExtension/1/extension/0/extension/1";
            permit.pointer_mut(at).unwrap()["extension"] = json!([{"url": "urn:not"}]);
        },
        &[&place("extension", "[0].extension[1].extension")],
    );
}

#[test]
fn conditions_are_of_the_one_grant_alone() {
    let to_there = json!([{
        "role": {"coding": [{
            "system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "PRCP",
        }]},
        "reference": {"reference": format!("Organization/{}", "bb".repeat(16))},
    }]);
    let refused = |edit: &dyn Fn(&mut Value), expected: &[&str]| {
        let mut consent = written(sample());
        edit(&mut consent);
        let issues = read(&consent).unwrap_err();
        let places: Vec<&str> = issues.iter().map(|issue| &*issue.expression[0]).collect();
        assert_eq!(places, expected, "{issues:?}");
    };
    let inner = "Consent.provision.provision[0]";
    // To somebody by name and on conditions: no grant says both.
    refused(
        &|consent| consent.pointer_mut(PERMIT).unwrap()["actor"] = to_there.clone(),
        &[&format!("{inner}.modifierExtension")],
    );
    // In two places.
    refused(
        &|consent| {
            let conditions = consent.pointer(PERMIT).unwrap()["modifierExtension"].clone();
            consent["provision"]["modifierExtension"] = conditions;
        },
        &[&format!("{inner}.modifierExtension")],
    );
    // On a denial.
    refused(
        &|consent| {
            let permit = consent.pointer_mut(PERMIT).unwrap();
            let mut deny = json!({"type": "deny", "class": [
                {"system": "urn:ithaca:category", "code": "phenotype"},
            ]});
            deny["modifierExtension"] = permit["modifierExtension"].clone();
            permit["provision"] = json!([deny]);
        },
        &[&format!("{inner}.provision[0]")],
    );
    // For treatment.
    refused(
        &|consent| {
            let system = "http://terminology.hl7.org/CodeSystem/v3-ActReason";
            let purposes = &mut consent.pointer_mut(PERMIT).unwrap()["purpose"];
            purposes
                .as_array_mut()
                .unwrap()
                .push(json!({"system": system, "code": "TREAT"}));
            let scope = json!({"coding": [{
                "system": "http://terminology.hl7.org/CodeSystem/consentscope",
                "code": "patient-privacy",
            }]});
            consent["scope"] = scope;
        },
        &[&format!("{inner}.purpose")],
    );
    // Around the provision that permits, they bind it all the same.
    let mut consent = written(sample());
    let permit = consent
        .pointer_mut(PERMIT)
        .unwrap()
        .as_object_mut()
        .unwrap();
    let conditions = permit.remove("modifierExtension").unwrap();
    consent["provision"]["modifierExtension"] = conditions;
    let Ok(Stated::Grant(draft)) = read(&consent) else {
        panic!("not read");
    };
    assert_eq!(draft.grantee, Grantee::Research(sample()));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is taken out of a Consent, what is read of it afterwards is no wider.
    #[test]
    fn what_is_left_out_never_widens(data_use in data_uses(), at in any::<Index>()) {
        let whole = to_research(data_use);
        let mut consent = written_of(&whole);
        let mut places = Vec::new();
        paths(&consent, "", &mut places);
        let conditions: Vec<String> = places
            .into_iter()
            .filter(|place| place.contains("modifierExtension/"))
            .collect();
        let place = at.get(&conditions);
        let (parent, name) = place.rsplit_once('/').unwrap();
        match consent.pointer_mut(parent).unwrap() {
            Value::Object(members) => { members.remove(name); }
            Value::Array(items) => { items.remove(name.parse().unwrap()); }
            _ => unreachable!(),
        }
        // A condition that is left out as a whole is no condition: nobody can tell. But what is left of one is
        // never read as less of a condition.
        let is_whole = conditions_left_out_whole(place);
        if let Ok(Stated::Grant(draft)) = read(&consent) {
            let Grantee::Research(left) = &draft.grantee else {
                return Err(TestCaseError::fail("to somebody else"));
            };
            let Grantee::Research(before) = &whole.grantee else { unreachable!() };
            prop_assert!(is_whole || left.is_within(before) || left == before, "{place}");
        }
    }
}

/// Whether a place is that of a clause, a term, or one of several arguments.
fn conditions_left_out_whole(place: &str) -> bool {
    let rest = place.split("modifierExtension/").nth(1).unwrap();
    rest.split('/').count() <= 3
}

fn written_of(grant: &Grant) -> Value {
    let written = consent_write(grant, &BTreeMap::new(), &frame());
    serde_json::from_slice(&written).unwrap()
}

fn paths(value: &Value, at: &str, found: &mut Vec<String>) {
    let mut each = |name: String, child: &Value| {
        let path = format!("{at}/{name}");
        found.push(path.clone());
        paths(child, &path, found);
    };
    match value {
        Value::Object(members) => members.iter().for_each(|(k, v)| each(k.clone(), v)),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .for_each(|(i, v)| each(i.to_string(), v)),
        _ => {}
    }
}
