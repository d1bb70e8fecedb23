//! The stored form: received bytes with only the server's own edits.

use crate::error::Error;
use crate::parsed::Parsed;
use crate::table::{Target, is_id};
use crate::walk::{At, Visit, walk};
use codec::Category::Identity;
use codec::time::Millis;
use json::{Edits, Value, quote};

/// What the server says about a version of a resource.
#[derive(Clone, Copy, Debug)]
pub struct Assigned<'s> {
    /// The id of the resource.
    pub id: &'s str,
    /// `meta.versionId`.
    pub version_id: &'s str,
    /// `meta.lastUpdated`.
    pub last_updated: Millis,
}

impl Parsed<'_> {
    /// The bytes to store, commit to and serve: those received, with the server's `id`,
    /// `meta.versionId` and `meta.lastUpdated` set, and each reference, uri or link in the narrative
    /// replaced for which `resolve` has another text. Every other byte stays as it was received.
    pub fn stored_form(
        &self,
        assigned: &Assigned<'_>,
        resolve: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Vec<u8>, Error> {
        if !is_id(assigned.id) {
            return Err(Error::BadAssigned("id"));
        }
        if !is_id(assigned.version_id) {
            return Err(Error::BadAssigned("versionId"));
        }
        let mut edits = Edits::new();
        self.set_meta(assigned, &mut edits);
        let mut rewriter = Rewriter { edits, resolve };
        walk(self.root(), self.type_id(), Identity, &mut rewriter);
        Ok(rewriter.edits.apply(self.document())?)
    }

    fn set_meta(&self, assigned: &Assigned<'_>, edits: &mut Edits) {
        let root = self.root();
        let id = quote(assigned.id);
        let version = quote(assigned.version_id);
        let updated = quote(&assigned.last_updated.to_rfc3339());
        let after = match root.get("id") {
            Some(_) => "id",
            None => "resourceType",
        };
        match root.get("meta") {
            Some(meta) => {
                let members = [("versionId", version), ("lastUpdated", updated)];
                edits.set_members(meta, Some("id"), &members);
                edits.set_members(root, Some(after), &[("id", id)]);
            }
            None => {
                let meta = format!("{{\"versionId\":{version},\"lastUpdated\":{updated}}}");
                edits.set_members(root, Some(after), &[("id", id), ("meta", meta)]);
            }
        }
    }
}

struct Rewriter<'r> {
    edits: Edits,
    resolve: &'r dyn Fn(&str) -> Option<String>,
}

impl<'d, 'a> Visit<'d, 'a> for Rewriter<'_> {
    fn leaf(&mut self, value: Value<'d, 'a>, at: At<'_>) {
        match at.target {
            Target::Link => {
                if let Some(target) = value.text().and_then(|text| (self.resolve)(&text)) {
                    self.edits.replace(value, quote(&target));
                }
            }
            Target::Xhtml => self.narrative(value),
            _ => {}
        }
    }
}

impl Rewriter<'_> {
    /// Replaces `urn:uuid:` and `urn:oid:` links that stand between quotation marks.
    fn narrative(&mut self, value: Value<'_, '_>) {
        let (raw, start) = (value.raw(), value.span().start);
        for (at, _) in raw.match_indices("urn:") {
            let before = raw.get(..at).unwrap_or_default();
            let rest = raw.get(at..).unwrap_or_default();
            let in_urn = |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '-' | '.');
            let length = rest.find(|c| !in_urn(c)).unwrap_or(rest.len());
            let (urn, after) = rest.split_at(length);
            let quoted = (before.ends_with("\\\"") && after.starts_with("\\\""))
                || (before.ends_with('\'') && after.starts_with('\''));
            if !quoted {
                continue;
            }
            if let Some(target) = (self.resolve)(urn) {
                let escaped = quote(&target.replace('&', "&amp;").replace('"', "&quot;"));
                let inner = escaped.trim_matches('"').to_owned();
                let from = start + at;
                self.edits.replace_span(from..from + length, inner);
            }
        }
    }
}
