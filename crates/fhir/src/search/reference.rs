//! What a reference names.

use crate::table::{is_id, is_resource_type};
use std::borrow::Cow;
use std::fmt;

/// The target of a reference.
#[derive(Clone, PartialEq, Eq)]
pub enum Target<'a> {
    /// A resource of this server, or of whatever server the resource is on: `Type/id`.
    Local {
        /// The type; `None` for a bare id.
        resource_type: Option<Cow<'a, str>>,
        /// The id.
        id: Cow<'a, str>,
    },
    /// A resource by its URL, `http://host/path/Type/id`, without its version.
    Absolute {
        /// The whole URL.
        url: Cow<'a, str>,
        /// What stands before `/Type/id`, the type and the id.
        parts: Option<(usize, usize)>,
    },
    /// Something else: `urn:uuid:...`, a URL of another form.
    Other(Cow<'a, str>),
}

impl<'a> Target<'a> {
    /// Reads the text of a reference. `None` for a contained resource (`#id`) and for nothing.
    pub fn read(text: Cow<'a, str>) -> Option<Self> {
        if text.is_empty() || text.starts_with('#') {
            return None;
        }
        let text = without_version(text);
        if is_id(&text) {
            return Some(Self::Local {
                resource_type: None,
                id: text,
            });
        }
        let Some(parts) = type_and_id(&text) else {
            return Some(Self::Other(text));
        };
        if parts.0 > 0 {
            return Some(Self::Absolute {
                url: text,
                parts: Some(parts),
            });
        }
        let (resource_type, id) = split(text, parts.1);
        Some(Self::Local {
            resource_type: Some(resource_type),
            id,
        })
    }

    /// The target with an absolute URL below `base` as a local one.
    pub fn relative_to(self, base: &str) -> Self {
        match &self {
            Self::Absolute {
                url,
                parts: Some((start, slash)),
            } if url.get(..start.saturating_sub(1)) == Some(base.trim_end_matches('/')) => {
                Self::Local {
                    resource_type: url.get(*start..*slash).map(|t| Cow::Owned(t.to_owned())),
                    id: Cow::Owned(url.get(slash + 1..).unwrap_or_default().to_owned()),
                }
            }
            _ => self,
        }
    }

    /// The type of the target, as far as the reference says it.
    pub fn resource_type(&self) -> Option<&str> {
        match self {
            Self::Local { resource_type, .. } => resource_type.as_deref(),
            Self::Absolute { url, parts } => {
                let (start, slash) = (*parts)?;
                url.get(start..slash)
            }
            Self::Other(_) => None,
        }
    }

    /// The id of the target, or the whole text where it has none: what an index finds it by.
    pub fn key(&self) -> &str {
        match self {
            Self::Local { id, .. } => id,
            Self::Absolute { url, parts } => {
                let (_, slash) = parts.unwrap_or_default();
                url.get(slash + 1..).unwrap_or_default()
            }
            Self::Other(text) => text,
        }
    }

    /// `Type/id`, the URL, or whatever the reference says.
    pub fn text(&self) -> String {
        match self {
            Self::Local {
                resource_type: Some(of),
                id,
            } => format!("{of}/{id}"),
            Self::Local { id, .. } => id.clone().into_owned(),
            Self::Absolute { url, .. } => url.clone().into_owned(),
            Self::Other(text) => text.clone().into_owned(),
        }
    }
}

impl fmt::Debug for Target<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Target(<redacted>)")
    }
}

/// Where the type starts and where the slash after it stands, when the text ends in `Type/id`.
fn type_and_id(text: &str) -> Option<(usize, usize)> {
    let slash = text.rfind('/')?;
    let start = text.get(..slash)?.rfind('/').map_or(0, |at| at + 1);
    let known = is_resource_type(text.get(start..slash)?) && is_id(text.get(slash + 1..)?);
    known.then_some((start, slash))
}

fn without_version(text: Cow<'_, str>) -> Cow<'_, str> {
    let Some(at) = text.find("/_history/") else {
        return text;
    };
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.get(..at).unwrap_or(text)),
        Cow::Owned(mut text) => {
            text.truncate(at);
            Cow::Owned(text)
        }
    }
}

fn split(text: Cow<'_, str>, slash: usize) -> (Cow<'_, str>, Cow<'_, str>) {
    match text {
        Cow::Borrowed(text) => {
            let (before, after) = text.split_at_checked(slash).unwrap_or((text, ""));
            (
                before.into(),
                after.strip_prefix('/').unwrap_or(after).into(),
            )
        }
        Cow::Owned(text) => {
            let (before, after) = text.split_at_checked(slash).unwrap_or((&text, ""));
            let after = after.strip_prefix('/').unwrap_or(after);
            (before.to_owned().into(), after.to_owned().into())
        }
    }
}
