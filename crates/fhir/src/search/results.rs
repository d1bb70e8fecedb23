//! What a query says about the answer rather than about what is looked for.

use crate::search::query::QueryError;
use crate::search::table::{Kind, Parameter, table};
use crate::table::is_resource_type;

/// What a query says about the answer.
#[derive(Clone, Debug, Default)]
pub struct Results {
    /// `_count`: how many matches a page holds; 0 asks for the total alone.
    pub count: Option<u32>,
    /// `_total`.
    pub total: Total,
    /// `_summary`.
    pub summary: Summary,
    /// `_elements`: names of elements at the root; empty when not asked for.
    pub elements: Vec<String>,
    /// `_include`.
    pub includes: Vec<Include>,
    /// `_revinclude`.
    pub revincludes: Vec<Include>,
    /// `_type`: resource types; empty when not asked for.
    pub types: Vec<&'static str>,
}

/// How exact a total has to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Total {
    /// Nothing was said.
    #[default]
    Unsaid,
    /// `none`
    None,
    /// `estimate`
    Estimate,
    /// `accurate`
    Accurate,
}

/// Which part of each resource is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Summary {
    /// `false`: all of it.
    #[default]
    False,
    /// `true`: the elements that R4 marks as summary.
    True,
    /// `text`: the narrative.
    Text,
    /// `data`: all but the narrative.
    Data,
    /// `count`: no resources, only how many.
    Count,
}

/// An `_include` or `_revinclude`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Include {
    /// The type of the resources that hold the reference.
    pub source_type: &'static str,
    /// The reference parameter.
    pub parameter: &'static str,
    /// The only type of target that is wanted.
    pub target_type: Option<&'static str>,
    /// Whether included resources are looked at as well (`:iterate`).
    pub iterate: bool,
}

/// The most elements, includes or types that a query may name, each.
const MAX_NAMED: usize = 64;

impl Results {
    /// Takes a parameter of its own; `Ok(false)` when the name is none of these.
    pub(super) fn take(
        &mut self,
        name: &str,
        modifier: Option<&str>,
        value: &str,
        of: &str,
    ) -> Result<bool, QueryError> {
        let refuse = |message: &str| Err(QueryError::new(name, message));
        if modifier.is_some() && !matches!(name, "_include" | "_revinclude") {
            return match is_result(name) {
                true => refuse("it has no modifiers; leave the part after the colon out"),
                false => Ok(false),
            };
        }
        match name {
            "_count" => match value.parse() {
                Ok(count) => self.count = Some(count),
                Err(_) => return refuse("write a whole number from 0"),
            },
            "_total" => {
                self.total = match value {
                    "none" => Total::None,
                    "estimate" => Total::Estimate,
                    "accurate" => Total::Accurate,
                    _ => return refuse("write none, estimate or accurate"),
                }
            }
            "_summary" => {
                self.summary = match value {
                    "true" => Summary::True,
                    "false" => Summary::False,
                    "text" => Summary::Text,
                    "data" => Summary::Data,
                    "count" => Summary::Count,
                    _ => return refuse("write true, false, text, data or count"),
                }
            }
            "_elements" => {
                let names = value.split(',').filter(|name| !name.is_empty());
                self.elements.extend(names.map(str::to_owned));
                if self.elements.len() > MAX_NAMED {
                    return refuse("name at most 64 elements");
                }
            }
            "_type" => {
                for name in value.split(',') {
                    let Some(known) = table().searched(name) else {
                        return refuse("write names of resource types of R4, with commas between");
                    };
                    self.types.push(known.name);
                }
                if self.types.len() > MAX_NAMED {
                    return refuse("name at most 64 types");
                }
            }
            "_include" | "_revinclude" => {
                let includes = include(name, modifier, value, of)?;
                let all = match name {
                    "_include" => &mut self.includes,
                    _ => &mut self.revincludes,
                };
                all.extend(includes);
                if all.len() > MAX_NAMED {
                    return refuse("ask for at most 64 references");
                }
            }
            "_format" | "_pretty" => {}
            _ => return Ok(false),
        }
        Ok(true)
    }
}

fn is_result(name: &str) -> bool {
    let names = [
        "_count",
        "_total",
        "_summary",
        "_elements",
        "_type",
        "_format",
        "_pretty",
    ];
    names.contains(&name)
}

/// Reads `Type:parameter`, `Type:parameter:Target` or `Type:*`.
fn include(
    name: &str,
    modifier: Option<&str>,
    value: &str,
    of: &str,
) -> Result<Vec<Include>, QueryError> {
    let refuse = |message: &str| Err(QueryError::new(name, message));
    let iterate = match modifier {
        None => false,
        Some("iterate" | "recurse") => true,
        Some(_) => return refuse("its only modifier is :iterate"),
    };
    let parts: Vec<&str> = value.split(':').collect();
    let (source, parameter, target) = match parts.as_slice() {
        [source, parameter] => (*source, *parameter, None),
        [source, parameter, target] => (*source, *parameter, Some(*target)),
        _ => return refuse("write it as Type:parameter or Type:parameter:Target"),
    };
    let Some(searched) = table().searched(source) else {
        return refuse("it starts with no resource type of R4");
    };
    if name == "_include" && !iterate && source != of {
        return refuse(
            "its type is not the one that is searched; add :iterate, or use _revinclude",
        );
    }
    let target_type = match target {
        None => None,
        Some(target) => match table().searched(target) {
            Some(known) => Some(known.name),
            None => return refuse("it ends with no resource type of R4"),
        },
    };
    let points =
        |p: &&Parameter| p.kind == Kind::Reference && (p.name == parameter || parameter == "*");
    let found: Vec<&Parameter> = searched.parameters.iter().filter(points).collect();
    if found.is_empty() {
        return refuse("the type has no such reference parameter");
    }
    let fits = |p: &&&Parameter| {
        let names = |of: &str| p.targets.is_empty() || p.targets.contains(&of);
        target_type.is_none_or(names) && (name == "_include" || names(of))
    };
    let found = found.iter().filter(fits);
    let one = |p: &&Parameter| Include {
        source_type: searched.name,
        parameter: p.name,
        target_type,
        iterate,
    };
    let includes: Vec<Include> = found.map(one).collect();
    match includes.is_empty() || target.is_some_and(|target| !is_resource_type(target)) {
        true => refuse("the parameter does not point at that type"),
        false => Ok(includes),
    }
}
