//! What an institution lets its people do, as a text that its people write: a Cedar policy.
//!
//! [`Policy::parse`] reads a text and checks it against [`SCHEMA`]; [`Policy::permits`] answers one [`Question`] with
//! a [`Verdict`] that names the policies that decided. A policy only takes away: scopes, policy and grants must all
//! permit, and this crate knows nothing of the other two. What no policy permits is forbidden, and so is whatever a
//! policy cannot decide. [`Policy::default`] permits what roles may do without a policy of one's own.
//!
//! Errors: [`BadPolicy`] with the line, for whoever wrote the text. A verdict takes some microseconds.
//!
//! Source: the Cedar policy language, 4.x. It knows no clock, file, network, record or person beyond what is asked.

use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityId, EntityTypeName, EntityUid, PolicyId,
    PolicySet, Request, RestrictedExpression, Schema, ValidationMode, Validator,
};
use codec::Category;
use consent::{Actor, Purpose};
use miette::Diagnostic;
use std::{
    collections::{BTreeSet, HashMap, HashSet},
    str::FromStr as _,
};

/// What policies may speak of, as a Cedar schema.
pub const SCHEMA: &str = include_str!("schema.cedarschema");
/// The policy of an institution that has not written one.
pub const DEFAULT: &str = include_str!("default.cedar");
/// The longest policy, in bytes.
pub const MAX_BYTES: usize = 1 << 20;

/// What somebody wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// Read one record or version.
    Read,
    /// Search records.
    Search,
    /// See what became of records.
    History,
    /// Take many records along.
    Export,
    /// See a differential diagnosis.
    Differential,
    /// Put a new record in.
    Create,
    /// Put a new version in.
    Update,
    /// Take a record out.
    Delete,
}

impl Action {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Read,
        Self::Search,
        Self::History,
        Self::Export,
        Self::Differential,
        Self::Create,
        Self::Update,
        Self::Delete,
    ];

    /// As in a policy.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Search => "search",
            Self::History => "history",
            Self::Export => "export",
            Self::Differential => "differential",
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

/// One question to a policy.
#[derive(Clone)]
pub struct Question<'a> {
    /// Who.
    pub actor: &'a Actor,
    /// Whether they are of the institution whose policy this is.
    pub of_this_institution: bool,
    /// What they want to do.
    pub action: Action,
    /// With what: a FHIR resource type, `Phenopacket` or `Document`.
    pub resource_type: &'a str,
    /// Which categories it is of, as far as that is known.
    pub categories: &'a BTreeSet<Category>,
    /// What for.
    pub purpose: Purpose,
    /// Whether they are bound to the subject.
    pub own_patient: bool,
    /// Whether they have broken the glass.
    pub break_glass: bool,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Whether it is permitted.
    pub permitted: bool,
    /// The policies that decided, by their `@id`, or by their line. None: no policy permits it.
    pub by: BTreeSet<String>,
}

/// Why a text is no policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {why}")]
pub struct BadPolicy {
    /// Where, from one.
    pub line: usize,
    /// One sentence or more.
    pub why: String,
}

/// A policy that was checked.
pub struct Policy {
    set: PolicySet,
    /// What a verdict calls each policy.
    names: HashMap<PolicyId, String>,
    schema: Schema,
    authorizer: Authorizer,
    /// The actions with their groups.
    base: Entities,
    person: EntityTypeName,
    record: EntityUid,
    actions: HashMap<Action, EntityUid>,
}

impl Policy {
    /// Reads a text and checks it against [`SCHEMA`].
    ///
    /// # Errors
    /// The first fault.
    pub fn parse(text: &str) -> Result<Self, BadPolicy> {
        let bad = |line, why: String| BadPolicy { line, why };
        if text.len() > MAX_BYTES {
            return Err(bad(1, format!("a policy has at most {MAX_BYTES} bytes")));
        }
        let set = PolicySet::from_str(text).map_err(|errors| {
            let first = errors.iter().next();
            let line = first.and_then(|error| line_of(text, error));
            bad(line.unwrap_or(1), errors.to_string())
        })?;
        if set.templates().next().is_some() {
            return Err(bad(
                1,
                "templates with ?principal or ?resource are not used here".to_owned(),
            ));
        }
        let broken = |why: String| bad(1, format!("the schema of this program is broken: {why}"));
        let (schema, _) =
            Schema::from_cedarschema_str(SCHEMA).map_err(|error| broken(error.to_string()))?;
        let validator = Validator::new(schema.clone());
        let checked = validator.validate(&set, ValidationMode::Strict);
        if let Some(error) = checked.validation_errors().next() {
            let line = line_of(text, error).unwrap_or(1);
            return Err(bad(line, error.to_string()));
        }
        let names = names(text, &set)?;
        let uid = |kind: &str, id: &str| {
            let kind = EntityTypeName::from_str(kind).map_err(|error| broken(error.to_string()))?;
            Ok(EntityUid::from_type_name_and_id(kind, EntityId::new(id)))
        };
        let mut actions = HashMap::new();
        for action in Action::ALL {
            actions.insert(action, uid("Action", action.as_str())?);
        }
        Ok(Self {
            set,
            names,
            base: schema
                .action_entities()
                .map_err(|error| broken(error.to_string()))?,
            schema,
            authorizer: Authorizer::new(),
            person: uid("Person", "")?.type_name().clone(),
            record: uid("Record", "asked for")?,
            actions,
        })
    }

    /// How many policies there are.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there are none: then nothing is permitted.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Answers a question.
    pub fn permits(&self, question: &Question<'_>) -> Verdict {
        // INVARIANT: what cannot be asked is not permitted.
        self.ask(question).unwrap_or_else(|| Verdict {
            permitted: false,
            by: BTreeSet::new(),
        })
    }

    fn ask(&self, question: &Question<'_>) -> Option<Verdict> {
        let text = |text: &str| RestrictedExpression::new_string(text.to_owned());
        let all = |texts: &mut dyn Iterator<Item = &'static str>| {
            RestrictedExpression::new_set(texts.map(text).collect::<Vec<_>>())
        };
        let actor = question.actor;
        let id = actor.practitioner.as_str();
        let person = EntityUid::from_type_name_and_id(self.person.clone(), EntityId::new(id));
        let who = Entity::new(
            person.clone(),
            HashMap::from([
                ("id".to_owned(), text(id)),
                (
                    "roles".to_owned(),
                    all(&mut actor.roles.iter().map(|r| r.as_str())),
                ),
                (
                    "institution".to_owned(),
                    text(&actor.institution.to_string()),
                ),
                (
                    "of_this_institution".to_owned(),
                    RestrictedExpression::new_bool(question.of_this_institution),
                ),
            ]),
            HashSet::new(),
        );
        let categories = question.categories.iter().map(|c| c.as_str());
        let what = Entity::new(
            self.record.clone(),
            HashMap::from([
                ("type".to_owned(), text(question.resource_type)),
                ("categories".to_owned(), all(&mut categories.into_iter())),
            ]),
            HashSet::new(),
        );
        let situation = vec![
            ("purpose".to_owned(), text(question.purpose.as_str())),
            (
                "own_patient".to_owned(),
                RestrictedExpression::new_bool(question.own_patient),
            ),
            (
                "break_glass".to_owned(),
                RestrictedExpression::new_bool(question.break_glass),
            ),
        ];
        let request = Request::new(
            person,
            self.actions.get(&question.action)?.clone(),
            self.record.clone(),
            Context::from_pairs(situation).ok()?,
            Some(&self.schema),
        )
        .ok()?;
        let asked = [who.ok()?, what.ok()?];
        let entities = self.base.clone().add_entities(asked, None).ok()?;
        let response = self
            .authorizer
            .is_authorized(&request, &self.set, &entities);
        // A policy that broke off may have been one that forbids.
        let decided = response.diagnostics().errors().next().is_none();
        Some(Verdict {
            permitted: decided && response.decision() == Decision::Allow,
            by: response
                .diagnostics()
                .reason()
                .filter_map(|id| self.names.get(id).cloned())
                .collect(),
        })
    }
}

impl std::fmt::Debug for Policy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Policy({} policies)", self.len())
    }
}

/// The name of each policy: its `@id`, which is unique, or its number.
fn names(text: &str, set: &PolicySet) -> Result<HashMap<PolicyId, String>, BadPolicy> {
    let mut seen = BTreeSet::new();
    let mut names = HashMap::new();
    for policy in set.policies() {
        let name = match policy.annotation("id") {
            Some(name) => name.to_owned(),
            None => policy.id().to_string(),
        };
        if !seen.insert(name.clone()) {
            let quoted = format!("\"{name}\"");
            let at = text.match_indices(&quoted).nth(1).map_or(0, |(at, _)| at);
            let line = line_at(text, at);
            let why = format!("two policies have the id \"{name}\"");
            return Err(BadPolicy { line, why });
        }
        names.insert(policy.id().clone(), name);
    }
    Ok(names)
}

/// The line of the first place that an error marks.
fn line_of(text: &str, error: &dyn Diagnostic) -> Option<usize> {
    let label = error.labels()?.next()?;
    Some(line_at(text, label.offset()))
}

fn line_at(text: &str, offset: usize) -> usize {
    let before = text.as_bytes().get(..offset.min(text.len()));
    let lines = before.unwrap_or_default().iter().filter(|b| **b == b'\n');
    lines.count() + 1
}
