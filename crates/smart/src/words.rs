//! Scopes in words, for the person who is asked.

use crate::{
    clinical::{Clinical, Context, Interaction},
    scopes::Scope,
};

impl Scope {
    /// One sentence without its full stop, in English.
    pub fn says(&self) -> String {
        match self {
            Self::Clinical(clinical) => clinical.says(),
            Self::Named(name) => match name.as_str() {
                "openid" => "know that it is you who signs in".to_owned(),
                "fhirUser" | "profile" => "know which entry of the directory you are".to_owned(),
                "launch" => "start with the patient that you have open".to_owned(),
                "launch/patient" => "know which patient this is about".to_owned(),
                "offline_access" => {
                    "go on while you are away, until you take the permission back".to_owned()
                }
                "online_access" => "go on for as long as you are signed in".to_owned(),
                "ithaca" => {
                    "do everything that you may do with this node, beside its FHIR interface"
                        .to_owned()
                }
                other => format!("use what it calls \u{201c}{other}\u{201d}"),
            },
        }
    }
}

impl Clinical {
    fn says(&self) -> String {
        let verbs: Vec<&str> = Interaction::ALL
            .into_iter()
            .filter(|i| self.may.has(*i))
            .map(|i| match i {
                Interaction::Create => "add",
                Interaction::Read => "read",
                Interaction::Update => "change",
                Interaction::Delete => "delete",
                Interaction::Search => "search",
            })
            .collect();
        let verbs = match verbs.as_slice() {
            [rest @ .., last] if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
            verbs => verbs.join(""),
        };
        let what = match &self.resource_type {
            Some(kind) => format!("{kind} entries"),
            None => "all kinds of entries".to_owned(),
        };
        let whose = match self.context {
            Context::Patient => "in the record of one patient",
            Context::User => "in every record that you may use",
            Context::System => "in every record that it may use by itself",
        };
        let which: Vec<String> = self
            .filters
            .iter()
            .map(|(name, value)| format!("{name} {value}"))
            .collect();
        if which.is_empty() {
            format!("{verbs} {what} {whose}")
        } else {
            format!("{verbs} {what} {whose}, only with {}", which.join(" and "))
        }
    }
}
