//! Every error as an OperationOutcome.

use crate::problem::{Document, Problem};
use mirror::{Issue, IssueType, outcome};

/// A problem as an OperationOutcome's bytes.
pub(crate) fn as_outcome(problem: &Problem) -> Vec<u8> {
    let document = problem.document();
    let code = code_of(document);
    let mut issues = Vec::new();
    for fault in &document.errors {
        let mut issue = Issue::error(code, fault.message.clone());
        if !fault.path.is_empty() {
            issue = issue.at(fault.path.clone());
        }
        issues.push(issue);
    }
    if issues.is_empty() {
        let mut issue = Issue::error(code, document.detail.clone());
        if let Some(disclosure) = &document.disclosure {
            issue.details = Some(format!("logged as disclosure {disclosure}"));
        }
        issues.push(issue);
    }
    if let Some(instance) = &document.instance
        && let Some(first) = issues.first_mut()
        && document.status >= 500
    {
        first.details = Some(format!("this occurrence is {instance} in the node's log"));
    }
    outcome(&issues)
}

fn code_of(document: &Document) -> IssueType {
    let name = document.kind.rsplit('#').next().unwrap_or_default();
    match (name, document.status) {
        ("unauthenticated" | "invalid-token", _) => IssueType::Login,
        ("not-supported" | "not-acceptable" | "unsupported-media-type", _) => {
            IssueType::NotSupported
        }
        ("several-match", _) => IssueType::MultipleMatches,
        ("consent-denied", _) => IssueType::Suppressed,
        ("timeout", _) => IssueType::Timeout,
        (_, 401) => IssueType::Login,
        (_, 403) => IssueType::Forbidden,
        (_, 404) => IssueType::NotFound,
        (_, 410) => IssueType::Deleted,
        (_, 405 | 406 | 415) => IssueType::NotSupported,
        (_, 409 | 412) => IssueType::Conflict,
        (_, 413) => IssueType::TooLong,
        (_, 429) => IssueType::Throttled,
        (_, 503 | 423) => IssueType::Transient,
        (_, 507) => IssueType::NoStore,
        (_, 500..) => IssueType::Exception,
        ("invalid", _) => IssueType::Invalid,
        _ => IssueType::Value,
    }
}
