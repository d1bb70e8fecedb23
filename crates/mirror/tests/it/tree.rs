//! Provisions as a child would write them, and who would be let in by them: naive on purpose.

use crate::consent_write::{HERE, THERE};
use codec::{Category, InstitutionId, Millis, RecordId, StudyId};
use consent::{PractitionerId, Purpose, RecordKind};
use proptest::collection::{btree_set, vec};
use proptest::option::{of, weighted};
use proptest::prelude::*;
use proptest::sample::{Index, select, subsequence};
use serde_json::{Value, json};
use std::collections::BTreeSet;

pub(crate) const STUDY: StudyId = StudyId::new([9; 16]);
pub(crate) const THIRD: InstitutionId = InstitutionId::new([0xcc; 16]);
/// Instants of this world are milliseconds after this one.
pub(crate) const START: u64 = 1_767_225_600_000;
pub(crate) const LAST: u64 = 6;

/// A provision as a child would write it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) permits: Option<bool>,
    pub(crate) period: Option<(u64, u64)>,
    pub(crate) actors: Option<Vec<(&'static str, Who)>>,
    pub(crate) actions: Option<BTreeSet<&'static str>>,
    pub(crate) purposes: Option<BTreeSet<Purpose>>,
    pub(crate) classes: Option<Vec<Class>>,
    pub(crate) data: Option<Vec<(&'static str, u8)>>,
    /// Conditions of use for research, any of them.
    pub(crate) uses: Option<Vec<Use>>,
    /// A condition that is nobody's here.
    pub(crate) odd: Option<&'static str>,
    pub(crate) inner: Vec<Node>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    Institution(InstitutionId),
    At(InstitutionId, u8),
    Anyone(u8),
    Study,
}

/// Conditions of use in terms of DUO, and whether the study of this world keeps them: research into health, not
/// commercial, in Germany.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Use {
    pub(crate) terms: &'static [(&'static str, Option<&'static str>)],
    pub(crate) kept: bool,
}

const USES: [Use; 7] = [
    Use {
        terms: &[("DUO:0000042", None)],
        kept: true,
    },
    Use {
        terms: &[("DUO:0000006", None), ("DUO:0000046", None)],
        kept: true,
    },
    Use {
        terms: &[("DUO:0000022", Some("DE")), ("DUO:0000006", None)],
        kept: true,
    },
    Use {
        terms: &[("DUO:0000006", None), ("DUO:0000022", Some("FR"))],
        kept: false,
    },
    Use {
        terms: &[("DUO:0000011", None)],
        kept: false,
    },
    // Everything must hold, whatever comes first.
    Use {
        terms: &[
            ("DUO:0000019", None),
            ("DUO:0000006", None),
            ("DUO:0000046", None),
        ],
        kept: false,
    },
    Use {
        terms: &[("DUO:0000042", None), ("DUO:0000043", None)],
        kept: true,
    },
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    Category(Category),
    Kind(u8),
}

/// Somebody asks for a category of a record.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) institution: InstitutionId,
    pub(crate) person: u8,
    pub(crate) study: bool,
    pub(crate) purpose: Purpose,
    pub(crate) category: Category,
    pub(crate) record: u8,
    pub(crate) at: u64,
}

/// A record's kind follows from its number.
pub(crate) const KINDS: [&str; 3] = ["Observation", "Condition", "phenopacket"];

pub(crate) fn record(n: u8) -> RecordId {
    RecordId::new([n; 16])
}

pub(crate) fn kind(n: u8) -> RecordKind {
    RecordKind::new(KINDS[usize::from(n)]).unwrap()
}

pub(crate) fn person(n: u8) -> PractitionerId {
    PractitionerId::new(format!("person-{n}")).unwrap()
}

impl Node {
    /// Whether a request meets every condition. What is not understood counts against who asks: a permission
    /// that has it is none, a denial that has it denies.
    fn meets(&self, ask: &Ask) -> bool {
        let denies = self.permits == Some(false);
        let by = |who: &Who| match *who {
            Who::Institution(id) => id == ask.institution,
            Who::At(id, n) => id == ask.institution && n == ask.person,
            Who::Anyone(n) => n == ask.person,
            Who::Study => ask.study,
        };
        let actor = |(role, who): &(&str, Who)| match *role {
            "PRCP" | "IRCP" => by(who),
            "CST" => *who == Who::Institution(HERE),
            _ => denies,
        };
        // Recipient and custodian are two questions when it is permitted, and either is enough to deny.
        let actors = self.actors.as_ref().is_none_or(|actors| {
            let (custodians, others): (Vec<_>, Vec<_>) =
                actors.iter().partition(|(role, _)| *role == "CST");
            // Who names nobody but the custodian says nothing of who receives.
            let is_open = !denies && others.is_empty();
            let recipients = is_open || others.into_iter().any(actor);
            match denies {
                true => recipients || custodians.into_iter().any(actor),
                false => recipients && custodians.into_iter().all(actor),
            }
        });
        let purposes = self.purposes.as_ref().is_none_or(|purposes| match denies {
            true => purposes.iter().any(|p| ask.purpose.is_within(*p)),
            false => purposes.contains(&ask.purpose),
        });
        let class = |class: &Class| match *class {
            Class::Category(category) => category == ask.category,
            Class::Kind(n) => n == ask.record,
        };
        let data = |(meaning, n): &(&str, u8)| match *meaning {
            "instance" => *n == ask.record,
            _ => denies,
        };
        self.period
            .is_none_or(|(start, end)| (start..=end).contains(&ask.at))
            && actors
            && self
                .actions
                .as_ref()
                .is_none_or(|actions| actions.contains("access"))
            && purposes
            && self
                .classes
                .as_ref()
                .is_none_or(|classes| classes.iter().any(class))
            && self
                .data
                .as_ref()
                .is_none_or(|records| records.iter().any(data))
            && self
                .uses
                .as_ref()
                .is_none_or(|uses| denies || (ask.study && uses.iter().any(|one| one.kept)))
            && (self.odd.is_none() || denies)
    }

    /// Whether this provision, all that is around it being met, permits.
    pub(crate) fn permits(&self, ask: &Ask) -> bool {
        let denied = |node: &Node| node.permits == Some(false) && node.meets(ask);
        if !self.meets(ask) || self.permits == Some(false) || self.inner.iter().any(denied) {
            return false;
        }
        let mut below = self
            .inner
            .iter()
            .filter(|node| node.permits == Some(true))
            .peekable();
        match below.peek() {
            Some(_) => below.any(|node| node.permits(ask)),
            None => self.permits == Some(true),
        }
    }

    pub(crate) fn to_json(&self) -> Value {
        let concept =
            |system: &str, code: &str| json!({"coding": [{"system": system, "code": code}]});
        let mut node = json!({});
        let mut set = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                node[name] = value;
            }
        };
        set(
            "type",
            self.permits
                .map(|permits| json!(if permits { "permit" } else { "deny" })),
        );
        let instant = |t: u64| json!(Millis::new(START + t).to_rfc3339());
        set(
            "period",
            self.period
                .map(|(start, end)| json!({"start": instant(start), "end": instant(end)})),
        );
        let actor = |(role, who): &(&str, Who)| {
            let role = concept(
                "http://terminology.hl7.org/CodeSystem/v3-ParticipationType",
                role,
            );
            let (system, value) = match *who {
                Who::Institution(id) => ("urn:ithaca:institution".to_owned(), id.to_string()),
                Who::At(id, n) => (
                    format!("urn:ithaca:practitioner:{id}"),
                    person(n).to_string(),
                ),
                Who::Anyone(n) => ("urn:ithaca:practitioner".to_owned(), person(n).to_string()),
                Who::Study => ("urn:ithaca:study".to_owned(), STUDY.to_string()),
            };
            json!({"role": role, "reference": {"identifier": {"system": system, "value": value}}})
        };
        set(
            "actor",
            self.actors
                .as_ref()
                .map(|actors| actors.iter().map(actor).collect()),
        );
        let action = |action: &&str| {
            concept(
                "http://terminology.hl7.org/CodeSystem/consentaction",
                action,
            )
        };
        set(
            "action",
            self.actions
                .as_ref()
                .map(|actions| actions.iter().map(action).collect()),
        );
        let purpose = |purpose: &Purpose| {
            let system = "http://terminology.hl7.org/CodeSystem/v3-ActReason";
            json!({"system": system, "code": purpose.as_str()})
        };
        set(
            "purpose",
            self.purposes
                .as_ref()
                .map(|list| list.iter().map(purpose).collect()),
        );
        let class = |class: &Class| match *class {
            Class::Category(of) => json!({"system": "urn:ithaca:category", "code": of.as_str()}),
            Class::Kind(2) => json!({"system": "urn:ithaca:record-kind", "code": KINDS[2]}),
            Class::Kind(n) => {
                json!({"system": "http://hl7.org/fhir/resource-types", "code": KINDS[usize::from(n)]})
            }
        };
        set(
            "class",
            self.classes
                .as_ref()
                .map(|list| list.iter().map(class).collect()),
        );
        let data = |(meaning, n): &(&str, u8)| {
            let id = record(*n).to_string();
            let identifier = json!({"system": "urn:ithaca:record", "value": id});
            json!({"meaning": meaning, "reference": {"identifier": identifier}})
        };
        set(
            "data",
            self.data
                .as_ref()
                .map(|list| list.iter().map(data).collect()),
        );
        let term = |(code, country): &(&str, Option<&str>)| {
            let system = "http://purl.obolibrary.org/obo/duo.owl";
            let code = json!({"url": "code", "valueCoding": {"system": system, "code": code}});
            let country = country.map(|country| {
                let coding = json!({"system": "urn:iso:std:iso:3166", "code": country});
                json!({"url": "country", "valueCoding": coding})
            });
            let parts: Vec<Value> = [code].into_iter().chain(country).collect();
            json!({"url": "term", "extension": parts})
        };
        let clause = |one: &Use| {
            let terms: Vec<Value> = one.terms.iter().map(term).collect();
            json!({"url": "urn:ithaca:data-use", "extension": terms})
        };
        set(
            "modifierExtension",
            self.uses
                .as_ref()
                .map(|uses| uses.iter().map(clause).collect()),
        );
        match self.odd {
            Some("dataPeriod") => set("dataPeriod", Some(json!({"start": "2026-01-01"}))),
            Some("code") => set("code", Some(json!([concept("http://loinc.org", "1-8")]))),
            Some(name) => set(
                name,
                Some(json!([{"url": "urn:x", "system": "urn:x", "code": "x"}])),
            ),
            None => {}
        }
        let inner: Vec<Value> = self.inner.iter().map(Self::to_json).collect();
        set("provision", (!inner.is_empty()).then_some(json!(inner)));
        node
    }
}

pub(crate) fn consent_of(root: &Node, opted: &str) -> Vec<u8> {
    let concept = |system: &str, code: &str| json!({"coding": [{"system": system, "code": code}]});
    let consent = json!({
        "resourceType": "Consent",
        "status": "active",
        "scope": concept("http://terminology.hl7.org/CodeSystem/consentscope", "patient-privacy"),
        "category": [concept("http://loinc.org", "59284-0")],
        "patient": {"reference": "Patient/p1"},
        "policyRule": concept("http://terminology.hl7.org/CodeSystem/v3-ActCode", opted),
        "provision": root.to_json(),
    });
    serde_json::to_vec(&consent).unwrap()
}

pub(crate) const PURPOSES: [Purpose; 6] = [
    Purpose::Treat,
    Purpose::Coc,
    Purpose::Etreat,
    Purpose::Ertreat,
    Purpose::Hresch,
    Purpose::Dsrch,
];

pub(crate) fn who() -> impl Strategy<Value = Who> {
    select(vec![
        Who::Institution(THERE),
        Who::Institution(THERE),
        Who::Institution(HERE),
        Who::At(THERE, 0),
        Who::At(THERE, 1),
        Who::At(THIRD, 0),
        Who::Anyone(0),
        Who::Study,
    ])
}

pub(crate) fn role() -> impl Strategy<Value = &'static str> {
    select(vec!["PRCP", "PRCP", "PRCP", "IRCP", "CST", "AUT"])
}

pub(crate) fn class(kinds: bool) -> impl Strategy<Value = Class> {
    let category = select(Category::ALL.to_vec()).prop_map(Class::Category);
    match kinds {
        true => prop_oneof![category, (0..3_u8).prop_map(Class::Kind)].boxed(),
        false => category.boxed(),
    }
}

/// A provision of any kind, seldom with what cannot be read.
pub(crate) fn node(permits: Option<bool>, likely: f64) -> impl Strategy<Value = Node> {
    let denies = permits == Some(false);
    let data = (
        select(vec!["instance", "instance", "instance", "related"]),
        0..3_u8,
    );
    let odd = vec!["securityLabel", "code", "dataPeriod", "modifierExtension"];
    let actions = if denies {
        vec!["access", "correct"]
    } else {
        vec!["access"]
    };
    (
        weighted(if denies { 0.05 } else { likely }, (0..LAST, 0..LAST)),
        weighted(
            if denies { 0.3 } else { likely },
            vec((role(), who()), 1..3),
        ),
        weighted(likely, subsequence(actions.clone(), 1..=actions.len())),
        weighted(
            if denies { 0.3 } else { likely },
            subsequence(PURPOSES.to_vec(), 1..=PURPOSES.len()),
        ),
        weighted(0.3, vec(class(denies), 1..6)),
        weighted(if denies { 0.3 } else { 0.03 }, vec(data, 1..3)),
        (
            weighted(0.05, vec(select(USES.to_vec()), 1..3)),
            weighted(0.02, select(odd)),
        ),
    )
        .prop_map(
            move |(period, actors, actions, purposes, classes, data, (uses, odd))| Node {
                permits,
                period,
                actors,
                actions: actions.map(|list| list.into_iter().collect()),
                purposes: purposes.map(|list| list.into_iter().collect()),
                classes,
                data,
                uses,
                odd,
                inner: Vec::new(),
            },
        )
}

pub(crate) fn tree() -> impl Strategy<Value = Node> {
    let root = select(vec![None, None, Some(true), Some(true), Some(false)])
        .prop_flat_map(|permits| node(permits, if permits.is_some() { 0.9 } else { 0.3 }));
    let denials = || vec(node(Some(false), 0.3), 0..3);
    // What is below a denial is an exception of it, or so somebody may think.
    let below = (node(Some(false), 0.3), vec(node(Some(true), 0.8), 0..2));
    let below = below.prop_map(|(mut deny, inner)| {
        deny.inner = inner;
        deny
    });
    let inmost = (node(Some(true), 0.6), denials()).prop_map(|(mut permit, inner)| {
        permit.inner = inner;
        permit
    });
    let permit = (
        node(Some(true), 0.8),
        denials(),
        vec(below, 0..2),
        vec(inmost, 0..2),
    );
    let permit = permit.prop_map(|(mut permit, inner, below, inmost)| {
        permit.inner = inner;
        permit.inner.extend(below);
        permit.inner.extend(inmost);
        permit
    });
    (root, vec(permit, 0..3), denials()).prop_map(|(mut root, permits, denials)| {
        root.inner = permits;
        root.inner.extend(denials);
        root
    })
}

/// A tree that is close to what can be read: so that reading is tried, too.
pub(crate) fn tidy() -> impl Strategy<Value = Node> {
    let denial = prop_oneof![
        (0..2_u8).prop_map(|n| Node {
            actors: Some(vec![("PRCP", Who::At(THERE, n))]),
            ..bare(false)
        }),
        (0..2_u8).prop_map(|n| Node {
            actors: Some(vec![("IRCP", Who::Anyone(n))]),
            ..bare(false)
        }),
        vec(class(true), 1..3).prop_map(|list| Node {
            classes: Some(list),
            ..bare(false)
        }),
        vec(0..3_u8, 1..3).prop_map(|list| Node {
            data: Some(list.into_iter().map(|n| ("instance", n)).collect()),
            ..bare(false)
        }),
        btree_set(select(PURPOSES.to_vec()), 1..3).prop_map(|list| Node {
            purposes: Some(list),
            ..bare(false)
        }),
    ];
    let actors = select(vec![Who::Institution(THERE), Who::At(THERE, 0), Who::Study]);
    (
        (0..3_u64, 3..LAST),
        actors,
        btree_set(select(PURPOSES.to_vec()), 1..5),
        of(vec(class(false), 1..5)),
        vec(denial.clone(), 0..3),
        vec(denial, 0..2),
        0..4_u8,
        of(0..LAST),
    )
        .prop_map(
            |(period, who, purposes, classes, denials, outer, shape, end)| {
                let mut permit = Node {
                    period: Some(period),
                    actors: Some(vec![("PRCP", who)]),
                    actions: Some(BTreeSet::from(["access"])),
                    purposes: Some(purposes),
                    classes,
                    inner: denials,
                    ..bare(true)
                };
                if shape == 0 {
                    return permit;
                }
                let mut around = Node {
                    inner: outer,
                    ..bare(true)
                };
                if shape == 1 {
                    around.actors = Some(vec![("CST", Who::Institution(HERE)), ("PRCP", who)]);
                    permit.actors = None;
                } else {
                    around.permits = None;
                }
                around.period = end.map(|end| (0, end));
                around.inner.push(permit);
                around
            },
        )
}

pub(crate) fn bare(permits: bool) -> Node {
    Node {
        permits: Some(permits),
        period: None,
        actors: None,
        actions: None,
        purposes: None,
        classes: None,
        data: None,
        uses: None,
        odd: None,
        inner: Vec::new(),
    }
}

/// To whom it is permitted.
fn whom() -> impl Strategy<Value = Result<Who, Vec<Use>>> {
    let who = vec![Who::Institution(THERE), Who::At(THERE, 0), Who::Study];
    prop_oneof![
        3 => select(who).prop_map(Ok),
        2 => vec(select(USES.to_vec()), 1..4).prop_map(Err),
    ]
}

/// One of the denials that a grant can say.
fn denial() -> impl Strategy<Value = Node> {
    prop_oneof![
        (0..2_u8).prop_map(|n| Node {
            actors: Some(vec![("IRCP", Who::Anyone(n))]),
            ..bare(false)
        }),
        vec(class(true), 1..3).prop_map(|list| Node {
            classes: Some(list),
            ..bare(false)
        }),
        vec(0..3_u8, 1..3).prop_map(|list| Node {
            data: Some(list.into_iter().map(|n| ("instance", n)).collect()),
            ..bare(false)
        }),
        btree_set(select(PURPOSES.to_vec()), 1..3).prop_map(|list| Node {
            purposes: Some(list),
            ..bare(false)
        }),
    ]
}

/// Permissions within permissions, to any depth up to five: each says some of it, and all of it is said somewhere.
pub(crate) fn deep() -> impl Strategy<Value = Node> {
    let research = vec![Purpose::Hresch, Purpose::Dsrch];
    let level = (
        of((0..3_u64, 3..LAST)),
        (any::<bool>(), any::<bool>()),
        of(btree_set(select(PURPOSES.to_vec()), 2..6)),
        of(vec(class(false), 3..7)),
        vec(denial(), 0..2),
        any::<bool>(),
    );
    (vec(level, 1..5), whom(), subsequence(research, 1..=2)).prop_map(|(levels, whom, research)| {
        let mut node: Option<Node> = None;
        let last = levels.len() - 1;
        for (depth, level) in levels.into_iter().enumerate() {
            let (period, (named, access), purposes, classes, denials, typeless) = level;
            let innermost = depth == 0;
            let outermost = depth == last;
            // Conditions of use stand in one place: the innermost.
            let (actors, uses) = match &whom {
                Ok(who) if named || innermost => (Some(vec![("PRCP", *who)]), None),
                Err(uses) if innermost => (None, Some(uses.clone())),
                _ => (None, None),
            };
            let by_name = matches!(whom, Ok(Who::Institution(_) | Who::At(..)));
            let purposes = match innermost && !by_name {
                true => Some(research.iter().copied().collect()),
                false => purposes.or_else(|| innermost.then(|| PURPOSES.into())),
            };
            let around = Node {
                period: period.or(innermost.then_some((0, LAST - 1))),
                actors,
                actions: (access || innermost).then(|| BTreeSet::from(["access"])),
                purposes,
                classes,
                uses,
                inner: denials.into_iter().chain(node.take()).collect(),
                permits: (!(outermost && !innermost && typeless)).then_some(true),
                ..bare(true)
            };
            node = Some(around);
        }
        node.unwrap_or_else(|| bare(true))
    })
}

/// A tree that is close to what can be read, with one thing in it that is anything.
pub(crate) fn spliced() -> impl Strategy<Value = Node> {
    let other = prop_oneof![node(Some(true), 0.9), node(Some(false), 0.9)];
    (prop_oneof![tidy(), deep()], other, any::<Index>(), 0..10_u8).prop_map(
        |(mut root, other, at, field)| {
            let mut nodes = Vec::new();
            root.each(&mut nodes);
            let which = nodes.swap_remove(at.index(nodes.len())).clone();
            let mut node = which.clone();
            match field {
                0 => node.permits = other.permits,
                1 => node.period = other.period,
                2 => node.actors = other.actors,
                3 => node.actions = other.actions,
                4 => node.purposes = other.purposes,
                5 => node.classes = other.classes,
                6 => node.data = other.data,
                7 => node.inner.push(other),
                8 => node.uses = other.uses,
                _ => node.odd = other.odd,
            }
            root.replace(&which, &node);
            root
        },
    )
}

impl Node {
    /// The conditions of use of this or of something below it.
    pub(crate) fn conditions(&self) -> Option<&Vec<Use>> {
        let below = || self.inner.iter().find_map(Self::conditions);
        self.uses.as_ref().or_else(below)
    }

    fn each<'n>(&'n self, nodes: &mut Vec<&'n Self>) {
        nodes.push(self);
        for inner in &self.inner {
            inner.each(nodes);
        }
    }

    /// Puts another provision in the place of one.
    fn replace(&mut self, old: &Self, new: &Self) {
        if self == old {
            *self = new.clone();
            return;
        }
        for inner in &mut self.inner {
            inner.replace(old, new);
        }
    }
}
