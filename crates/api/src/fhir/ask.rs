//! Method and path, read into what is asked for.

use crate::problem::Problem;
use axum::http::{Method, StatusCode};

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    Capability,
    Batch,
    Search {
        kind: String,
        pairs: Pairs,
    },
    /// Of one patient's compartment.
    Compartment {
        patient: String,
        kind: String,
        pairs: Pairs,
    },
    Create {
        kind: String,
    },
    Read {
        kind: String,
        id: String,
        pairs: Pairs,
    },
    Vread {
        kind: String,
        id: String,
        version: u32,
        pairs: Pairs,
    },
    Update {
        kind: String,
        target: Which,
    },
    Patch {
        kind: String,
        target: Which,
    },
    Delete {
        kind: String,
        target: Which,
    },
    History {
        kind: String,
        id: Option<String>,
        pairs: Pairs,
    },
    Everything {
        patient: String,
        pairs: Pairs,
    },
    Validate {
        kind: String,
        id: Option<String>,
    },
}

/// Decoded names and values, in order.
pub(crate) type Pairs = Vec<(String, String)>;

/// Which resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    Id(String),
    Matching(Pairs),
}

impl Ask {
    /// Reads a method and a path below the base, such as `/Patient/7`.
    pub(crate) fn parse(method: &Method, path: &str, pairs: Pairs) -> Result<Self, Problem> {
        let path = path.trim_matches('/');
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        if let Some(kind) = parts.first()
            && *kind != "metadata"
            && !kind.starts_with(['$', '_'])
            && !fhir::is_resource_type(kind)
        {
            return Err(Problem::new(
                StatusCode::NOT_FOUND,
                "not-found",
                "the path names no resource type of FHIR R4",
            ));
        }
        let get = *method == Method::GET || *method == Method::HEAD;
        let post = *method == Method::POST;
        let matching = |kind: &str, pairs: Pairs| {
            let target = Which::Matching(pairs);
            (kind.to_owned(), target)
        };
        let of = |kind: &str, id: &str| (kind.to_owned(), id.to_owned());
        Ok(match parts.as_slice() {
            [] if post => Self::Batch,
            ["metadata"] if get => Self::Capability,
            [kind] if get => Self::Search {
                kind: (*kind).to_owned(),
                pairs,
            },
            [kind, "_search"] if post || get => Self::Search {
                kind: (*kind).to_owned(),
                pairs,
            },
            [_] if post && !pairs.is_empty() => {
                // Older clients put the condition of a creation there; without it, patients come twice.
                return Err(Problem::bad_request(
                    "a creation takes no parameters; a condition is sent as If-None-Exist (ifNoneExist in a Bundle)",
                ));
            }
            [kind] if post => Self::Create {
                kind: (*kind).to_owned(),
            },
            [kind, "_history"] if get => Self::History {
                kind: (*kind).to_owned(),
                id: None,
                pairs,
            },
            [kind, "$validate"] if post => Self::Validate {
                kind: (*kind).to_owned(),
                id: None,
            },
            [kind, id, "$validate"] if post => Self::Validate {
                kind: (*kind).to_owned(),
                id: Some((*id).to_owned()),
            },
            [kind] if *method == Method::PUT => {
                let (kind, target) = matching(kind, pairs);
                Self::Update { kind, target }
            }
            [kind] if *method == Method::PATCH => {
                let (kind, target) = matching(kind, pairs);
                Self::Patch { kind, target }
            }
            [kind] if *method == Method::DELETE => {
                let (kind, target) = matching(kind, pairs);
                Self::Delete { kind, target }
            }
            [kind, id] if get => {
                let (kind, id) = of(kind, id);
                Self::Read { kind, id, pairs }
            }
            [kind, id] if *method == Method::PUT => {
                let (kind, id) = of(kind, id);
                let target = Which::Id(id);
                Self::Update { kind, target }
            }
            [kind, id] if *method == Method::PATCH => {
                let (kind, id) = of(kind, id);
                let target = Which::Id(id);
                Self::Patch { kind, target }
            }
            [kind, id] if *method == Method::DELETE => {
                let (kind, id) = of(kind, id);
                let target = Which::Id(id);
                Self::Delete { kind, target }
            }
            [kind, id, "_history"] if get => {
                let (kind, id) = of(kind, id);
                let id = Some(id);
                Self::History { kind, id, pairs }
            }
            ["Patient", id, "$everything"] if get || post => Self::Everything {
                patient: (*id).to_owned(),
                pairs,
            },
            ["Patient", id, kind] if get && fhir::is_resource_type(kind) => Self::Compartment {
                patient: (*id).to_owned(),
                kind: (*kind).to_owned(),
                pairs,
            },
            [kind, id, "_history", version] if get => {
                let (kind, id) = of(kind, id);
                // No other text names a version here.
                let version = version.parse().map_err(|_| no_version())?;
                Self::Vread {
                    kind,
                    id,
                    version,
                    pairs,
                }
            }
            _ => {
                return Err(Problem::new(
                    StatusCode::NOT_FOUND,
                    "not-supported",
                    "no such interaction; /fhir/metadata lists those that there are",
                ));
            }
        })
    }

    /// Reads the request of an entry: `Patient/7`, `Patient?name=x`, `/Patient`, or under the base.
    pub(crate) fn of_entry(method: &Method, url: &str, base: &str) -> Result<Self, Problem> {
        let relative = url.strip_prefix(base).unwrap_or(url);
        let (path, query) = relative.split_once('?').unwrap_or((relative, ""));
        let pairs = form_urlencoded::parse(query.as_bytes());
        Self::parse(method, path, pairs.into_owned().collect())
    }
}

fn no_version() -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "not-found",
        "no version of that name; versions are whole numbers",
    )
}
