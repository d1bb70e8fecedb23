//! Reading the names and values of a query.

use crate::search::query::{Chain, Clause, Handling, Has, Query, QueryError, Test};
use crate::search::results::Results;
use crate::search::sort;
use crate::search::table::{Kind, Parameter, Searched, table};
use crate::search::wanted::{How, Wanted, split};

/// The most parameters of a query.
pub const MAX_PARAMETERS: usize = 64;

/// The most alternatives of a parameter.
pub const MAX_ALTERNATIVES: usize = 128;

/// Why a parameter is not taken.
enum Refusal {
    /// It is not known: lenient handling leaves it out.
    Unknown(QueryError),
    Error(QueryError),
}

impl From<QueryError> for Refusal {
    fn from(error: QueryError) -> Self {
        Self::Error(error)
    }
}

/// See [`Query::parse`].
pub(super) fn query(
    resource_type: &str,
    pairs: &[(String, String)],
    handling: Handling,
    base: &str,
) -> Result<Query, QueryError> {
    let Some(of) = table().searched(resource_type) else {
        let message = "it is no resource type of FHIR R4 (4.0.1); search for one of these";
        return Err(QueryError::new(resource_type, message));
    };
    let mut query = empty(of, base);
    if pairs.len() > MAX_PARAMETERS {
        let message = "the query has more than 64 parameters; ask in several queries";
        return Err(QueryError::new("", message));
    }
    for (name, value) in pairs {
        match take(&mut query, name, value, true) {
            Ok(()) => query.canonical.push((name.clone(), value.clone())),
            Err(Refusal::Unknown(_)) if handling == Handling::Lenient => {
                query.ignored.push(name.clone());
            }
            Err(Refusal::Unknown(error) | Refusal::Error(error)) => return Err(error),
        }
    }
    Ok(query)
}

fn empty(of: &'static Searched, base: &str) -> Query {
    Query {
        of,
        base: base.trim_end_matches('/').to_owned(),
        clauses: Vec::new(),
        chains: Vec::new(),
        has: Vec::new(),
        sort: Vec::new(),
        results: Results::default(),
        ignored: Vec::new(),
        canonical: Vec::new(),
    }
}

/// Adds what a parameter asks to a query. `outer`: it is not the query of a chain.
fn take(query: &mut Query, name: &str, value: &str, outer: bool) -> Result<(), Refusal> {
    if value.is_empty() {
        let message = "it has no value; give it one or leave it out";
        return Err(Refusal::Unknown(QueryError::new(name, message)));
    }
    if let Some(rest) = name.strip_prefix("_has:") {
        return has(query, name, rest, value, outer);
    }
    // A dot after the parameter or after its type makes a chain.
    if let Some((link, rest)) = name.split_once('.') {
        return chain(query, name, link, rest, value, outer);
    }
    let (plain, modifier) = match name.split_once(':') {
        Some((plain, modifier)) => (plain, Some(modifier)),
        None => (name, None),
    };
    if outer {
        if plain == "_sort" {
            query.sort = sort::parse(query.of, modifier, value)?;
            return Ok(());
        }
        if query.results.take(plain, modifier, value, query.of.name)? {
            return Ok(());
        }
    }
    let clause = clause(query.of, plain, modifier, value, &query.base)?;
    query.clauses.push(clause);
    Ok(())
}

fn find(of: &'static Searched, plain: &str, shown: &str) -> Result<&'static Parameter, Refusal> {
    of.parameter(plain).ok_or_else(|| {
        let message = format!(
            "{} has no such parameter; see the CapabilityStatement for those it has",
            of.name
        );
        Refusal::Unknown(QueryError::new(shown, &message))
    })
}

fn clause(
    of: &'static Searched,
    plain: &str,
    modifier: Option<&str>,
    value: &str,
    base: &str,
) -> Result<Clause, Refusal> {
    let parameter = find(of, plain, plain)?;
    if modifier == Some("missing") {
        let test = match value {
            "true" => Test::Missing(true),
            "false" => Test::Missing(false),
            _ => return Err(QueryError::new(plain, ":missing is true or false").into()),
        };
        return Ok(Clause { parameter, test });
    }
    let how = how(parameter, modifier)?;
    let texts = split(value, ',');
    if texts.len() > MAX_ALTERNATIVES {
        let message = "it has more than 128 alternatives; ask in several queries";
        return Err(QueryError::new(plain, message).into());
    }
    let mut wanted = Vec::with_capacity(texts.len());
    for text in texts.into_iter().filter(|text| !text.is_empty()) {
        let read = Wanted::read(parameter, &how, text, base);
        wanted.push(read.map_err(|message| QueryError::new(plain, message))?);
    }
    if wanted.is_empty() {
        let message = "it has no value; give it one or leave it out";
        return Err(QueryError::new(plain, message).into());
    }
    let test = match modifier {
        Some("not") => Test::None(wanted),
        _ => Test::Any(wanted),
    };
    Ok(Clause { parameter, test })
}

/// The modifier of a parameter; one that its kind does not have is always an error.
fn how(parameter: &Parameter, modifier: Option<&str>) -> Result<How, QueryError> {
    let Some(modifier) = modifier else {
        return Ok(How::Plain);
    };
    let refuse = |message: &str| Err(QueryError::new(parameter.name, message));
    match (parameter.kind, modifier) {
        (Kind::Token, "not") => Ok(How::Plain),
        (Kind::Token, "text") => Ok(How::Text),
        (Kind::Token, "of-type") => Ok(How::OfType),
        (Kind::Token, "in" | "not-in" | "above" | "below") => refuse(
            "value sets and hierarchies of codes are not known here; list the codes, with commas between",
        ),
        (Kind::String, "exact") => Ok(How::Exact),
        (Kind::String, "contains") => Ok(How::Contains),
        (Kind::Uri, "below") => Ok(How::Below),
        (Kind::Uri, "above") => Ok(How::Above),
        (Kind::Reference, "identifier") => Ok(How::Identifier),
        (Kind::Reference, of) if crate::table::is_resource_type(of) => {
            match parameter.targets.is_empty() || parameter.targets.contains(&of) {
                true => Ok(How::Names(of.to_owned())),
                false => refuse("it does not point at resources of the type after the colon"),
            }
        }
        (kind, _) => {
            let known = match kind {
                Kind::Token => ":missing, :not, :text and :of-type",
                Kind::String => ":missing, :exact and :contains",
                Kind::Uri => ":missing, :below and :above",
                Kind::Reference => ":missing, :identifier and types such as :Patient",
                _ => ":missing",
            };
            refuse(&format!(
                "it has no such modifier; a {} has {known}",
                kind.code()
            ))
        }
    }
}

/// `subject:Patient.name`, taken apart as `subject:Patient` and `name`.
fn chain(
    query: &mut Query,
    name: &str,
    link: &str,
    rest: &str,
    value: &str,
    outer: bool,
) -> Result<(), Refusal> {
    let refuse = |message: &str| Err(Refusal::Error(QueryError::new(name, message)));
    if !outer || rest.contains('.') || rest.starts_with("_has:") {
        return refuse(
            "chains have one hop here; ask for the ids of the first hop, then for these",
        );
    }
    let (plain, of) = match link.split_once(':') {
        Some((plain, of)) => (plain, Some(of)),
        None => (link, None),
    };
    let parameter = find(query.of, plain, name)?;
    if parameter.kind != Kind::Reference {
        return refuse("only references can be chained");
    }
    let targets: Vec<&'static Searched> = match of {
        Some(of) => {
            let known = table().searched(of);
            let known = known.filter(|known| {
                parameter.targets.is_empty() || parameter.targets.contains(&known.name)
            });
            match known {
                Some(known) => vec![known],
                None => {
                    return refuse("it does not point at resources of the type after the colon");
                }
            }
        }
        None if parameter.targets.is_empty() => {
            return refuse("it points at any type; name one, such as :Patient before the dot");
        }
        None => {
            let targets = parameter.targets.iter();
            targets.filter_map(|of| table().searched(of)).collect()
        }
    };
    let mut asked = Vec::new();
    let mut unknown = None;
    for target in targets {
        let mut inner = empty(target, &query.base);
        match take(&mut inner, rest, value, false) {
            Ok(()) => asked.push((target.name, inner)),
            Err(Refusal::Unknown(error)) => unknown = Some(error),
            Err(Refusal::Error(error)) => {
                let message = format!("after the dot: {}", error.message);
                return Err(QueryError::new(name, &message).into());
            }
        }
    }
    match unknown {
        Some(error) if asked.is_empty() => Err(Refusal::Unknown(error)),
        _ => {
            query.chains.push(Chain {
                parameter: parameter.name,
                targets: asked,
                resolved: None,
            });
            Ok(())
        }
    }
}

/// `Observation:patient:code` after `_has:`.
fn has(query: &mut Query, name: &str, rest: &str, value: &str, outer: bool) -> Result<(), Refusal> {
    let refuse = |message: &str| Err(Refusal::Error(QueryError::new(name, message)));
    let parts: Vec<&str> = rest.splitn(3, ':').collect();
    let [of, link, asked] = parts.as_slice() else {
        return refuse("write it as _has:Type:reference:parameter");
    };
    if !outer || asked.starts_with("_has:") || asked.contains('.') {
        return refuse(
            "chains have one hop here; ask for the ids of the first hop, then for these",
        );
    }
    let Some(of) = table().searched(of) else {
        return refuse("after _has: stands no resource type of R4");
    };
    let parameter = find(of, link, name)?;
    let points = parameter.kind == Kind::Reference
        && (parameter.targets.is_empty() || parameter.targets.contains(&query.of.name));
    if !points {
        return refuse("its second part does not point at resources of the searched type");
    }
    let mut inner = empty(of, &query.base);
    take(&mut inner, asked, value, false)?;
    query.has.push(Has {
        resource_type: of.name,
        parameter: parameter.name,
        query: inner,
        resolved: None,
    });
    Ok(())
}
