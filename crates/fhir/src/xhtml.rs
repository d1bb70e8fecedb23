//! The narrative: XHTML of which only what formats a text is allowed.
//!
//! Source: R4, 2.4.0 (rules `txt-1` and `txt-2`): the elements of chapters 7-11 (but section 9.4) and 15
//! of HTML 4.0, `<a>`, `<img>` and style attributes; no scripts, forms, frames, objects or event handlers. It is
//! one `<div>` with some content. Read once, without a stack deeper than [`MAX_DEPTH`].

/// Elements that may stand in a narrative.
const ELEMENTS: &[&str] = &[
    "a",
    "abbr",
    "acronym",
    "address",
    "area",
    "b",
    "bdo",
    "big",
    "blockquote",
    "br",
    "caption",
    "center",
    "cite",
    "code",
    "col",
    "colgroup",
    "dd",
    "dfn",
    "div",
    "dl",
    "dt",
    "em",
    "font",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "i",
    "img",
    "kbd",
    "li",
    "map",
    "ol",
    "p",
    "pre",
    "q",
    "s",
    "samp",
    "small",
    "span",
    "strike",
    "strong",
    "sub",
    "sup",
    "table",
    "tbody",
    "td",
    "tfoot",
    "th",
    "thead",
    "tr",
    "tt",
    "u",
    "ul",
    "var",
];

/// Attributes that hold a link.
const LINKS: &[&str] = &["href", "src", "cite", "longdesc", "background", "usemap"];

/// How deep elements may be nested.
const MAX_DEPTH: usize = 256;

const NOT_ONE_DIV: &str = "a narrative is one <div> element";
const UNKNOWN: &str = "a narrative holds only elements and attributes that format text";
const MALFORMED: &str = "a narrative is well-formed XHTML";
const EMPTY: &str = "a narrative has some text or an image";

/// Whether a text is a narrative; otherwise the rule that it breaks.
pub(crate) fn check(text: &str) -> Result<(), &'static str> {
    let mut rest = text.trim();
    let mut open: Vec<&str> = Vec::new();
    let (mut started, mut content) = (false, false);
    while let Some(at) = rest.find('<') {
        let (before, tail) = rest.split_at(at);
        if open.is_empty() && (started || !before.is_empty()) {
            return Err(NOT_ONE_DIV);
        }
        content |= !before.trim().is_empty();
        if !entities_are_closed(before) {
            return Err(MALFORMED);
        }
        if let Some(comment) = tail.strip_prefix("<!--") {
            let end = comment.find("-->").ok_or(MALFORMED)?;
            rest = comment.get(end + 3..).unwrap_or_default();
            continue;
        }
        let end = end_of_tag(tail).ok_or(MALFORMED)?;
        let tag = tail.get(1..end).unwrap_or_default();
        rest = tail.get(end + 1..).unwrap_or_default();
        if let Some(name) = tag.strip_prefix('/') {
            if open.pop() != Some(name.trim_end()) {
                return Err(MALFORMED);
            }
            continue;
        }
        let closed = tag.ends_with('/');
        let tag = tag.strip_suffix('/').unwrap_or(tag);
        let length = tag.find(char::is_whitespace).unwrap_or(tag.len());
        let (name, attributes) = tag.split_at(length);
        if open.is_empty() && name != "div" {
            return Err(NOT_ONE_DIV);
        }
        if !ELEMENTS.contains(&name) || open.len() == MAX_DEPTH {
            return Err(UNKNOWN);
        }
        check_attributes(attributes)?;
        started = true;
        content |= name == "img";
        if !closed {
            open.push(name);
        }
    }
    if !started || !open.is_empty() || !rest.is_empty() {
        return Err(if started { MALFORMED } else { NOT_ONE_DIV });
    }
    content.then_some(()).ok_or(EMPTY)
}

/// Where the `>` of a tag stands that is not part of an attribute.
fn end_of_tag(tag: &str) -> Option<usize> {
    let mut quote = None;
    for (at, byte) in tag.bytes().enumerate() {
        match (quote, byte) {
            (None, b'>') => return Some(at),
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), _) if open == byte => quote = None,
            _ => {}
        }
    }
    None
}

/// Attributes are `name="value"`; none may run a script.
fn check_attributes(text: &str) -> Result<(), &'static str> {
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (name, tail) = rest.split_once('=').ok_or(MALFORMED)?;
        let name = name.trim_end();
        let tail = tail.trim_start();
        let quote = tail.chars().next().filter(|c| matches!(c, '"' | '\''));
        let (value, after) = tail
            .get(1..)
            .and_then(|inner| inner.split_once(quote?))
            .ok_or(MALFORMED)?;
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | ':' | '.');
        if name.is_empty() || !name.chars().all(fits) {
            return Err(MALFORMED);
        }
        let start = name.get(..2).unwrap_or_default();
        let is_link = LINKS.iter().any(|link| name.eq_ignore_ascii_case(link));
        if start.eq_ignore_ascii_case("on") || (is_link && runs_script(value)) {
            return Err(UNKNOWN);
        }
        if value.contains('<') || !entities_are_closed(value) {
            return Err(MALFORMED);
        }
        rest = after.trim_start();
    }
    Ok(())
}

/// Whether a link runs a script, or could hide that it does: an entity stands where its scheme is.
fn runs_script(link: &str) -> bool {
    let head = link.split(['/', '?']).next().unwrap_or_default();
    let plain = head
        .chars()
        .filter(|c| !c.is_whitespace() && !c.is_control());
    let scheme = plain.collect::<String>().to_ascii_lowercase();
    let bad = ["javascript:", "vbscript:", "data:text"];
    head.contains('&') || bad.iter().any(|bad| scheme.starts_with(bad))
}

/// Whether each `&` starts an entity.
fn entities_are_closed(text: &str) -> bool {
    text.split('&').skip(1).all(|rest| {
        let name = rest.split(';').next().unwrap_or_default();
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '#';
        name.len() < rest.len() && !name.is_empty() && name.chars().all(fits)
    })
}
