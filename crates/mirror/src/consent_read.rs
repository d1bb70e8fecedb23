//! `Consent` as a client sends it -> what it states in this network's own form, exactly; or every reason why not.
//!
//! What is read: a consent of which the base denies (a policy that the caller knows to, or `policyRule` OPTOUT or
//! OPTOUTE) and of which a provision permits, with a period, one recipient, the action `access` and purposes by
//! name. Below a permitting provision another one permits less, and one that denies is an exception of
//! records, kinds of record, categories, purposes or practitioners. A root provision without a type, as R4
//! wants it, permits nothing by itself and bounds what is below it. Instead of a recipient there may be conditions
//! of use for research ([`crate::names::DATA_USE`]). Nothing else is taken: an element that is not
//! understood, a code or reference that is not known, a condition that a grant does not have.
//!
//! A Period's end is in it: `until` is one millisecond later. A date stands for the day that
//! [`Directory::day`] says it is.
//!
//! Not looked at: who agreed (`performer`, `verification.verifiedWith`, the source), which is for whoever
//! authenticates the sender; the narrative.

mod conditions;
mod element;
mod provision;
mod rule;

use crate::names::{ACT_CODE, GRANT, POLICY_GRANT, POLICY_OPT_OUT, POLICY_RESTRICTION, SCOPE};
use crate::outcome::{Issue, IssueType};
use codec::{Category, Date, GrantId, InstitutionId, Millis, RecordId, StudyId, SubjectId};
use consent::{Exception, Grant, Grantee, InvalidGrant, PractitionerAt, PractitionerId, Purpose};
pub use element::Named;
use element::{At, Issues};
use rule::Rule;
use std::collections::BTreeSet;

/// The longest Consent that is read, in bytes.
pub const MAX_BYTES: usize = 256 << 10;

/// What whoever calls knows of those whom a Consent names in other words than the identifiers of this network
/// ([`crate::names`]): by a reference, whatever its id looks like.
pub trait Directory {
    /// The institution that reads.
    fn custodian(&self) -> InstitutionId;

    /// The subject that a patient stands for.
    fn subject(&self, patient: &Named<'_>) -> Option<SubjectId>;

    /// Who somebody is.
    fn party(&self, named: &Named<'_>) -> Option<Party>;

    /// The record that a reference is to.
    fn record(&self, named: &Named<'_>) -> Option<RecordId>;

    /// The first instant of a day and the first one after it. In UTC, unless the institution says where it is.
    /// A day before 1970 starts with it.
    fn day(&self, date: Date) -> Option<(Millis, Millis)> {
        let after = Date::from_days(date.days().checked_add(1)?)?;
        Some((
            date.start().unwrap_or_default(),
            after.start().unwrap_or_default(),
        ))
    }

    /// Whether a policy, by its URI, permits nothing by itself and says no more than that.
    fn denies_by_default(&self, policy: &str) -> bool {
        let _ = policy;
        false
    }
}

/// Somebody whom a provision names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Party {
    /// An institution.
    Institution(InstitutionId),
    /// A practitioner at an institution.
    Practitioner(PractitionerAt),
    /// Whoever goes by this id.
    Anyone(PractitionerId),
    /// Those who take part in a study.
    Study(StudyId),
}

/// What a Consent states.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stated {
    /// A grant.
    Grant(GrantDraft),
    /// All the purposes that are opted out of.
    OptOuts {
        /// By whom.
        subject: SubjectId,
        /// Each with everything below it.
        purposes: BTreeSet<Purpose>,
    },
    /// Processing is restricted.
    Restriction {
        /// Of whose records.
        subject: SubjectId,
    },
    /// A grant is no more. Whether there is one is for the caller to know.
    Revocation {
        /// Whose.
        subject: SubjectId,
        /// Which.
        grant: GrantId,
    },
}

/// A grant that may have no id yet. It keeps the rules of [`Grant::validate`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantDraft {
    /// Whose.
    pub subject: SubjectId,
    /// The id that the Consent names, in its identifier or as its own.
    pub id: Option<GrantId>,
    /// To whom.
    pub grantee: Grantee,
    /// For what.
    pub purposes: BTreeSet<Purpose>,
    /// What.
    pub categories: BTreeSet<Category>,
    /// The first instant.
    pub from: Millis,
    /// The first instant after the period.
    pub until: Millis,
    /// Less what.
    pub exceptions: BTreeSet<Exception>,
}

impl GrantDraft {
    /// The grant under an id.
    pub fn grant(self, id: GrantId) -> Grant {
        Grant {
            id,
            grantee: self.grantee,
            purposes: self.purposes,
            categories: self.categories,
            from: self.from,
            until: self.until,
            exceptions: self.exceptions,
        }
    }
}

/// Reads a Consent.
///
/// # Errors
/// Why it cannot be taken exactly as it is: at least one issue, at most fifty, each with its
/// place and no value.
pub fn consent_read(source: &[u8], directory: &dyn Directory) -> Result<Stated, Vec<Issue>> {
    let limits = json::Limits {
        size_bytes: MAX_BYTES,
        values: 20_000,
        shown: element::is_shown,
    };
    let document = json::parse(source, &limits).map_err(|error| {
        let issue = Issue::error(IssueType::Structure, error.to_string());
        vec![issue.at("Consent")]
    })?;
    let mut reader = Reader {
        directory,
        issues: Issues::default(),
    };
    let stated = reader.consent(&At::root(document.root()));
    match (stated, reader.issues.into_list()) {
        (Some(stated), issues) if issues.is_empty() => Ok(stated),
        (_, issues) if !issues.is_empty() => Err(issues),
        // INVARIANT: what is not read has an issue.
        _ => Err(vec![
            Issue::error(IssueType::Exception, NOT_READ).at("Consent"),
        ]),
    }
}

const NOT_READ: &str = "this Consent could not be read; this is a fault of the server";

const ROOT: [&str; 19] = [
    "resourceType",
    "id",
    "meta",
    "language",
    "text",
    "extension",
    "identifier",
    "status",
    "scope",
    "category",
    "patient",
    "dateTime",
    "performer",
    "organization",
    "sourceAttachment",
    "sourceReference",
    "policy",
    "policyRule",
    "provision",
];

/// Extensions that R4 defines for Consent and that bind nobody: where to send notices, who typed, who
/// witnessed, where.
const HARMLESS: [&str; 4] = [
    "http://hl7.org/fhir/StructureDefinition/consent-NotificationEndpoint",
    "http://hl7.org/fhir/StructureDefinition/consent-Transcriber",
    "http://hl7.org/fhir/StructureDefinition/consent-Witness",
    "http://hl7.org/fhir/StructureDefinition/consent-location",
];

/// Categories that say that this is a consent to share, and bind nobody. Acknowledgements of a notice are none.
const CATEGORIES: [(&str, &str); 4] = [
    ("http://loinc.org", "59284-0"),
    ("http://loinc.org", "64292-6"),
    (ACT_CODE, "IDSCL"),
    (ACT_CODE, "INFA"),
];

/// The category of consents to research alone.
const RESEARCH: (&str, &str) = (ACT_CODE, "RESEARCH");

pub(crate) struct Reader<'r> {
    directory: &'r dyn Directory,
    issues: Issues,
}

/// What the base of a consent is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Base {
    Denies,
    OptOut,
    Restriction,
}

impl Reader<'_> {
    fn consent(&mut self, root: &At<'_, '_>) -> Option<Stated> {
        let known: Vec<&str> = ROOT.into_iter().chain(["verification"]).collect();
        if !self.issues.object(root, &known) {
            return None;
        }
        if root.text_of("resourceType").as_deref() != Some("Consent") {
            let at = root.path_of("resourceType");
            self.issues
                .add(IssueType::Invalid, at, "this is no Consent; send one");
            return None;
        }
        self.aside(root);
        let subject = self.patient(root);
        let id = self.grant_id(root);
        let scope = self.scope(root);
        self.category(root, scope.as_deref());
        let base = self.base(root);
        let status = root.text_of("status").unwrap_or_default();
        match &*status {
            "active" => {}
            "inactive" | "rejected" | "entered-in-error" => {
                return self.revocation(root, subject, id, base);
            }
            _ => self.issues.add(
                IssueType::BusinessRule,
                root.path_of("status"),
                "only a consent that is active, inactive, rejected or entered in error is taken",
            ),
        }
        let Some(provision) = root.get("provision") else {
            self.issues.add(
                IssueType::Required,
                root.path_of("provision"),
                "a consent without provisions permits nothing here; say what is permitted",
            );
            return None;
        };
        let tree = self.provision(&provision, true);
        match base? {
            Base::Denies => {
                let rule = Rule::of(&tree, &mut self.issues);
                self.grant(subject?, id, rule, scope.as_deref(), &tree.path)
            }
            Base::OptOut => {
                let purposes = tree.opt_outs(&mut self.issues)?;
                let subject = subject?;
                Some(Stated::OptOuts { subject, purposes })
            }
            Base::Restriction => {
                tree.restriction(&mut self.issues);
                Some(Stated::Restriction { subject: subject? })
            }
        }
    }

    /// What binds nobody, or must be as expected.
    fn aside(&mut self, root: &At<'_, '_>) {
        for extension in self.issues.items(root, "extension") {
            let url = extension.text_of("url");
            if !url.is_some_and(|url| HARMLESS.contains(&&*url)) {
                self.issues.add(
                    IssueType::Extension,
                    &extension.path,
                    "this extension is not known here; leave it out if it binds nobody",
                );
            }
        }
        for verification in self.issues.items(root, "verification") {
            let known = ["verified", "verifiedWith", "verificationDate"];
            self.issues.object(&verification, &known);
            let verified = verification.get("verified");
            if verified.and_then(|verified| verified.value.boolean()) != Some(true) {
                self.issues.add(
                    IssueType::BusinessRule,
                    verification.path_of("verified"),
                    "a consent that was not verified is not taken",
                );
            }
        }
    }

    fn patient(&mut self, root: &At<'_, '_>) -> Option<SubjectId> {
        let Some(patient) = root.get("patient") else {
            let at = root.path_of("patient");
            self.issues.add(IssueType::Required, at, "name the patient");
            return None;
        };
        let named = self.issues.named(&patient)?;
        let subject = self.directory.subject(&named);
        if subject.is_none() {
            let path = &patient.path;
            let said = "this patient is not known here";
            self.issues.add(IssueType::NotFound, path, said);
        }
        subject
    }

    /// The grant that the consent names; its own id, if it names none.
    fn grant_id(&mut self, root: &At<'_, '_>) -> Option<GrantId> {
        let mut named: Option<GrantId> = None;
        for identifier in self.issues.items(root, "identifier") {
            if identifier.text_of("system").as_deref() != Some(GRANT) {
                continue;
            }
            let value = identifier.text_of("value");
            let id = value.and_then(|value| value.parse().ok());
            if id.is_none() || named.is_some_and(|named| Some(named) != id) {
                self.issues.add(
                    IssueType::Value,
                    &identifier.path,
                    "a grant's id is 32 lowercase hexadecimal digits, and a consent has one",
                );
            }
            named = named.or(id);
        }
        named.or_else(|| root.text_of("id")?.parse().ok())
    }

    fn scope(&mut self, root: &At<'_, '_>) -> Option<String> {
        let scope = root.get("scope");
        let code = scope.as_ref().and_then(|scope| self.issues.concept(scope));
        let known = ["patient-privacy", "research", "treatment"];
        match code {
            Some((system, code)) if system == SCOPE && known.contains(&&*code) => Some(code),
            _ => {
                self.issues.add(
                    IssueType::CodeInvalid,
                    root.path_of("scope"),
                    "the scope must be patient-privacy, research or treatment",
                );
                None
            }
        }
    }

    fn category(&mut self, root: &At<'_, '_>, scope: Option<&str>) {
        for category in self.issues.items(root, "category") {
            for (coding, (system, code)) in self.issues.codings(&category) {
                let found = (&*system, &*code);
                let is_research = found == RESEARCH && scope == Some("research");
                if !is_research && !CATEGORIES.contains(&found) {
                    self.issues.add(
                        IssueType::CodeInvalid,
                        &coding.path,
                        "this category may limit the consent in a way that a grant cannot say; only \
                         those of consents to share are taken",
                    );
                }
            }
        }
    }

    /// What holds where no provision speaks.
    fn base(&mut self, root: &At<'_, '_>) -> Option<Base> {
        let before = self.issues.len();
        let mut bases = Vec::new();
        for policy in self.issues.items(root, "policy") {
            self.issues.object(&policy, &["authority", "uri"]);
            let uri = policy.text_of("uri").unwrap_or_default();
            bases.push(match &*uri {
                POLICY_GRANT => Base::Denies,
                POLICY_OPT_OUT => Base::OptOut,
                POLICY_RESTRICTION => Base::Restriction,
                other if self.directory.denies_by_default(other) => Base::Denies,
                _ => {
                    let at = policy.path_of("uri");
                    self.issues.add(
                        IssueType::NotSupported,
                        at,
                        "what this policy says is not known here; a grant is under a policy that \
                         denies what is not permitted (urn:ithaca:consent:grant)",
                    );
                    Base::Denies
                }
            });
        }
        if let Some(rule) = root.get("policyRule") {
            match self.issues.concept(&rule) {
                Some((system, code))
                    if system == ACT_CODE && ["OPTOUT", "OPTOUTE"].contains(&&*code) =>
                {
                    bases.push(Base::Denies);
                }
                _ => self.issues.add(
                    IssueType::NotSupported,
                    &rule.path,
                    "here nothing is permitted but what is granted: only OPTOUT and OPTOUTE, with \
                     provisions that permit, say this; an opt-in would permit whatever no provision denies",
                ),
            }
        }
        let first = bases.first().copied();
        if first.is_none() && self.issues.len() == before {
            let at = root.path_of("policyRule");
            let said = "name a policy or a policyRule under which nothing else is permitted";
            self.issues.add(IssueType::Required, at, said);
        }
        if bases.iter().any(|base| Some(*base) != first) {
            let at = root.path_of("policy");
            let said = "these policies contradict each other; name one";
            self.issues.add(IssueType::Invariant, at, said);
        }
        first
    }

    fn revocation(
        &mut self,
        root: &At<'_, '_>,
        subject: Option<SubjectId>,
        id: Option<GrantId>,
        base: Option<Base>,
    ) -> Option<Stated> {
        if base? != Base::Denies {
            self.issues.add(
                IssueType::BusinessRule,
                root.path_of("status"),
                "an opt-out or a restriction ends when the family says what holds instead; it is not \
                 revoked",
            );
        }
        if id.is_none() {
            self.issues.add(
                IssueType::Required,
                root.path_of("identifier"),
                "name the grant that is revoked (system urn:ithaca:grant)",
            );
        }
        Some(Stated::Revocation {
            subject: subject?,
            grant: id?,
        })
    }

    fn grant(
        &mut self,
        subject: SubjectId,
        id: Option<GrantId>,
        rule: Option<Rule>,
        scope: Option<&str>,
        path: &str,
    ) -> Option<Stated> {
        let rule = rule?;
        let draft = GrantDraft {
            subject,
            id,
            grantee: rule.grantee,
            purposes: rule.purposes,
            categories: rule.categories,
            from: rule.from,
            until: rule.until,
            exceptions: rule.exceptions,
        };
        let grant = draft.clone().grant(GrantId::new([0; GrantId::LEN]));
        // What could not be read is told already.
        if self.issues.len() == 0
            && let Err(error) = grant.validate()
        {
            let place = match error {
                InvalidGrant::NoPurpose
                | InvalidGrant::Purpose(_)
                | InvalidGrant::StudyPurpose(_) => "purpose",
                InvalidGrant::DataUse(_) => "modifierExtension",
                InvalidGrant::NoCategory => "class",
                InvalidGrant::EmptyPeriod | InvalidGrant::EndlessPeriod => "period",
                InvalidGrant::TooManyExceptions => "provision",
            };
            let at = format!("{}.{place}", rule.path);
            let said = error.to_string();
            self.issues.add(IssueType::BusinessRule, at, said);
        }
        let fits = |purpose: &Purpose| match scope {
            Some("research") => purpose.is_research(),
            Some("treatment") => purpose.is_within(Purpose::Treat),
            _ => true,
        };
        if !draft.purposes.iter().all(fits) {
            let said =
                "the scope is narrower than the purposes; with scope patient-privacy they count";
            self.issues
                .add(IssueType::Invariant, path_of_scope(path), said);
        }
        Some(Stated::Grant(draft))
    }
}

fn path_of_scope(provision: &str) -> String {
    let root = provision.split('.').next().unwrap_or_default();
    format!("{root}.scope")
}
