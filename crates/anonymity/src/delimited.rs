//! Rows of text with a separator, as ARX and spreadsheets write them: one row a line, fields optionally in
//! double quotes, a quote in a quoted field doubled. A field never holds a line break.

use std::borrow::Cow;

/// A longer line is refused.
pub const MAX_LINE_BYTES: usize = 1 << 20;

/// Why a line is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// A quote is not closed, or something follows the closing one.
    #[error("a quoted field does not end where the field ends")]
    Quote,
    /// Longer than [`MAX_LINE_BYTES`].
    #[error("longer than {MAX_LINE_BYTES} bytes")]
    Long,
}

/// The lines that hold something, with their numbers from 1; line ends are `\n` or `\r\n`.
pub fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.split('\n')
        .map(|line| line.strip_suffix('\r').unwrap_or(line))
        .enumerate()
        .filter(|(_, line)| !line.is_empty())
        .map(|(at, line)| (at + 1, line))
}

/// The fields of one line.
pub fn fields(line: &str, separator: char) -> Result<Vec<Cow<'_, str>>, LineError> {
    if line.len() > MAX_LINE_BYTES {
        return Err(LineError::Long);
    }
    let mut fields = Vec::new();
    let mut rest = Some(line);
    while let Some(text) = rest {
        let (field, after) = match text.strip_prefix('"') {
            Some(quoted) => quoted_field(quoted, separator)?,
            None => match text.split_once(separator) {
                Some((field, after)) => (Cow::Borrowed(field), Some(after)),
                None => (Cow::Borrowed(text), None),
            },
        };
        fields.push(field);
        rest = after;
    }
    Ok(fields)
}

type Split<'a> = (Cow<'a, str>, Option<&'a str>);

fn quoted_field(quoted: &str, separator: char) -> Result<Split<'_>, LineError> {
    let mut from = 0;
    loop {
        let end = from + quoted[from..].find('"').ok_or(LineError::Quote)?;
        let after = &quoted[end + 1..];
        if after.starts_with('"') {
            from = end + 2;
            continue;
        }
        let inner = &quoted[..end];
        let field = if inner.contains('"') {
            Cow::Owned(inner.replace("\"\"", "\""))
        } else {
            Cow::Borrowed(inner)
        };
        if after.is_empty() {
            return Ok((field, None));
        }
        let after = after.strip_prefix(separator).ok_or(LineError::Quote)?;
        return Ok((field, Some(after)));
    }
}

/// Appends one row and its line end.
pub(crate) fn push_row<'a>(
    out: &mut String,
    separator: char,
    fields: impl Iterator<Item = &'a str>,
) {
    for (at, field) in fields.enumerate() {
        if at > 0 {
            out.push(separator);
        }
        if field.contains([separator, '"']) {
            out.push('"');
            out.push_str(&field.replace('"', "\"\""));
            out.push('"');
        } else {
            out.push_str(field);
        }
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expect: Result<&[&str], LineError>) {
        let got = fields(line, ';');
        match expect {
            Ok(expect) => assert_eq!(got.unwrap(), expect),
            Err(error) => assert_eq!(got, Err(error)),
        }
    }

    #[test]
    fn fields_are_split_and_unquoted() {
        check("a;b;;c", Ok(&["a", "b", "", "c"]));
        check("", Ok(&[""]));
        check("\"a;b\";\"say \"\"x\"\"\"", Ok(&["a;b", "say \"x\""]));
        check("\"a", Err(LineError::Quote));
        check("\"a\"b", Err(LineError::Quote));
    }

    #[test]
    fn a_written_row_reads_back() {
        let row = ["a;b", "\"", "", "plain"];
        let mut out = String::new();
        push_row(&mut out, ';', row.into_iter());
        assert_eq!(fields(out.trim_end(), ';').unwrap(), row);
    }
}
