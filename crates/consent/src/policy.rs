//! What the institution decided: a policy, read from configuration and checked as it is read.
//!
//! Rules say which roles may use which categories for which purposes without a grant: for the
//! institution's own care, by law, or unless the family opted out. Sharing rules say which roles
//! may rely on a grant. A policy can be stricter than the fixed rules of [`crate::decide`], never
//! laxer: it cannot open records to the operator, make research a matter of policy alone, or
//! prolong break-glass beyond [`BreakGlass::MAX_MINUTES`].

mod default;

use crate::{BreakGlass, Purpose, Retention, Role, RuleName};
use codec::{Category, InstitutionId, Millis};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeSet;

/// The policy of one institution. Sections that the configuration leaves out are the default's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(remote = "Self", deny_unknown_fields, default)]
pub struct Policy {
    /// Own staff, own patients.
    pub care: Vec<Rule>,
    /// What a law commands or allows. Stands under restriction of processing.
    pub law: Vec<Rule>,
    /// Allowed unless the family opted out of the purpose.
    pub opt_out: Vec<Rule>,
    /// Which roles may rely on a grant.
    pub sharing: Vec<SharingRule>,
    /// Emergencies in which the rest is overridden.
    pub break_glass: BreakGlassPolicy,
    /// Showing a disclosure later than usual.
    pub safeguarding: SafeguardingPolicy,
    /// The node's own projections.
    pub system: SystemPolicy,
    /// The law by which records are kept, if one applies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retention: Option<RetentionPolicy>,
}

/// Some roles may use some categories for some purposes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Named in decisions and disclosures; unique in the policy.
    pub name: RuleName,
    /// Any of these roles.
    pub roles: BTreeSet<Role>,
    /// For any of these purposes.
    pub purposes: BTreeSet<Purpose>,
    /// These categories.
    pub categories: BTreeSet<Category>,
    /// At these institutions; empty: the custodian itself. Always empty for care.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub institutions: BTreeSet<InstitutionId>,
}

/// Some roles may rely on a grant for some purposes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SharingRule {
    /// Unique in the policy.
    pub name: RuleName,
    /// Any of these roles.
    pub roles: BTreeSet<Role>,
    /// For any of these purposes.
    pub purposes: BTreeSet<Purpose>,
}

/// Who may break the glass, and what follows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BreakGlassPolicy {
    /// Who.
    pub roles: BTreeSet<Role>,
    /// What they then see.
    pub categories: BTreeSet<Category>,
    /// The longest session in minutes, at most [`BreakGlass::MAX_MINUTES`].
    pub max_minutes: u16,
    /// Controllers are told within this many hours, at most 72.
    pub notice_within_hours: u16,
    /// A second person reviews within this many days, at most 30.
    pub review_within_days: u16,
    /// Who reviews.
    pub reviewers: BTreeSet<Role>,
}

/// Who may delay showing a disclosure, and for how long.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SafeguardingPolicy {
    /// Who proposes.
    pub proposers: BTreeSet<Role>,
    /// Who approves: another person.
    pub approvers: BTreeSet<Role>,
    /// The longest delay in days that one approval gives, at most 180.
    pub max_days: u16,
    /// No disclosure is withheld longer than this many days after it happened, at most 730.
    pub max_total_days: u16,
}

/// What the node may open for its own projections (index, phenotype profile).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SystemPolicy {
    /// For these purposes.
    pub purposes: BTreeSet<Purpose>,
    /// These categories.
    pub categories: BTreeSet<Category>,
}

/// A law by which records are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetentionPolicy {
    /// The law.
    pub rule: RuleName,
    /// Years after the last record.
    pub years: u16,
}

/// Why a policy was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPolicy {
    /// Two rules with a name.
    #[error("two rules are named {0}")]
    NameTwice(RuleName),
    /// A rule that permits nothing.
    #[error("rule {0} names no role, no purpose or no category")]
    Empty(RuleName),
    /// A care rule for others.
    #[error("rule {0} is for own care and cannot name institutions")]
    CareElsewhere(RuleName),
    /// Research needs a grant, a law or an opt-out.
    #[error("rule {0} makes {1} a matter of own care")]
    ResearchAsCare(RuleName, Purpose),
    /// A purpose with rules of its own.
    #[error("rule {0} names {1}, which has rules of its own")]
    Purpose(RuleName, Purpose),
    /// A role with rules of its own, or with none.
    #[error("{0} names the role {1}, which no policy can let see records so")]
    Role(String, Role),
    /// A bound outside its range.
    #[error("{what} is {value}; it goes from 1 to {max}")]
    Bound {
        /// Which.
        what: &'static str,
        /// The value.
        value: u16,
        /// The largest.
        max: u16,
    },
}

impl Policy {
    /// Checks a policy that was put together in code; reading one checks it too.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn validate(&self) -> Result<(), InvalidPolicy> {
        let mut names = BTreeSet::new();
        let rules = self.care.iter().chain(&self.law).chain(&self.opt_out);
        for name in rules
            .clone()
            .map(|r| &r.name)
            .chain(self.sharing.iter().map(|r| &r.name))
        {
            if !names.insert(name) {
                return Err(InvalidPolicy::NameTwice(name.clone()));
            }
        }
        for rule in rules {
            let empty = rule.categories.is_empty();
            check_rule(&rule.name, &rule.roles, &rule.purposes, empty)?;
        }
        for rule in &self.sharing {
            check_rule(&rule.name, &rule.roles, &rule.purposes, false)?;
        }
        for rule in &self.care {
            if !rule.institutions.is_empty() {
                return Err(InvalidPolicy::CareElsewhere(rule.name.clone()));
            }
            if let Some(purpose) = rule.purposes.iter().find(|p| p.is_research()) {
                return Err(InvalidPolicy::ResearchAsCare(rule.name.clone(), *purpose));
            }
        }
        self.break_glass.validate()?;
        self.safeguarding.validate()
    }

    /// What the policy's retention law means for a compartment whose last record is of then.
    pub fn retention_after(&self, last_record: Millis) -> Option<Retention> {
        let law = self.retention.as_ref()?;
        let until = last_record
            .date()
            .and_then(|date| date.add_years(law.years))
            .and_then(codec::Date::start)
            // The start of a day of the year is up to a day before the anniversary.
            .map_or(Millis::new(u64::MAX), |day| day.saturating_add(DAY_MS));
        let rule = law.rule.clone();
        Some(Retention { until, rule })
    }

    /// Whether one of `roles` may rely on a grant for `purpose`.
    pub(crate) fn shares(&self, purpose: Purpose, roles: &BTreeSet<Role>) -> bool {
        self.sharing
            .iter()
            .any(|rule| rule.purposes.contains(&purpose) && may_act(&rule.roles, roles))
    }
}

impl Rule {
    /// Whether this rule lets someone with `roles` at `institution` act for `purpose`.
    pub(crate) fn applies(
        &self,
        purpose: Purpose,
        roles: &BTreeSet<Role>,
        institution: InstitutionId,
        custodian: InstitutionId,
    ) -> bool {
        let here = if self.institutions.is_empty() {
            institution == custodian
        } else {
            self.institutions.contains(&institution)
        };
        here && self.purposes.contains(&purpose)
            && !purpose.has_own_rules()
            && may_act(&self.roles, roles)
    }
}

impl<'de> Deserialize<'de> for Policy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let policy = Self::deserialize(deserializer)?;
        policy.validate().map_err(serde::de::Error::custom)?;
        Ok(policy)
    }
}

impl Serialize for Policy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

impl BreakGlassPolicy {
    /// Whether one of `roles` may break the glass.
    pub(crate) fn may_open(&self, roles: &BTreeSet<Role>) -> bool {
        may_act(&self.roles, roles)
    }

    /// Whether one of `roles` may review a session.
    pub(crate) fn may_review(&self, roles: &BTreeSet<Role>) -> bool {
        may_act(&self.reviewers, roles)
    }

    fn validate(&self) -> Result<(), InvalidPolicy> {
        professionals("break-glass", self.roles.union(&self.reviewers))?;
        let max = BreakGlass::MAX_MINUTES;
        bound("break-glass max_minutes", self.max_minutes, max)?;
        bound(
            "break-glass notice_within_hours",
            self.notice_within_hours,
            72,
        )?;
        bound(
            "break-glass review_within_days",
            self.review_within_days,
            30,
        )
    }
}

impl SafeguardingPolicy {
    /// Whether one of `roles` may propose a delay.
    pub(crate) fn may_propose(&self, roles: &BTreeSet<Role>) -> bool {
        may_act(&self.proposers, roles)
    }

    /// Whether one of `roles` may approve a delay.
    pub(crate) fn may_approve(&self, roles: &BTreeSet<Role>) -> bool {
        may_act(&self.approvers, roles)
    }

    fn validate(&self) -> Result<(), InvalidPolicy> {
        professionals("safeguarding", self.proposers.union(&self.approvers))?;
        bound("safeguarding max_days", self.max_days, 180)?;
        bound("safeguarding max_total_days", self.max_total_days, 730)
    }
}

const DAY_MS: u64 = 86_400_000;

/// Whether a role that is held is among those a rule names. The subject, the node, the operator and whoever
/// judges studies act under no rule.
fn may_act(named: &BTreeSet<Role>, held: &BTreeSet<Role>) -> bool {
    named.intersection(held).any(|role| is_professional(*role))
}

fn is_professional(role: Role) -> bool {
    !matches!(
        role,
        Role::Controller | Role::System | Role::Operator | Role::Device | Role::Committee
    )
}

fn professionals<'a>(
    what: impl std::fmt::Display,
    mut roles: impl Iterator<Item = &'a Role>,
) -> Result<(), InvalidPolicy> {
    match roles.find(|role| !is_professional(**role)) {
        Some(role) => Err(InvalidPolicy::Role(what.to_string(), *role)),
        None => Ok(()),
    }
}

fn check_rule(
    name: &RuleName,
    roles: &BTreeSet<Role>,
    purposes: &BTreeSet<Purpose>,
    no_category: bool,
) -> Result<(), InvalidPolicy> {
    if roles.is_empty() || purposes.is_empty() || no_category {
        return Err(InvalidPolicy::Empty(name.clone()));
    }
    if let Some(purpose) = purposes.iter().find(|p| p.has_own_rules()) {
        return Err(InvalidPolicy::Purpose(name.clone(), *purpose));
    }
    professionals(format_args!("rule {name}"), roles.iter())
}

fn bound(what: &'static str, value: u16, max: u16) -> Result<(), InvalidPolicy> {
    if (1..=max).contains(&value) {
        Ok(())
    } else {
        Err(InvalidPolicy::Bound { what, value, max })
    }
}
