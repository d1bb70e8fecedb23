//! `crates/fhir/src/search.txt` from the official definitions: for each resource type the search
//! parameters with their expressions compiled into element paths, the patient compartment, and
//! which elements a summary keeps.

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::Path,
};

const HEADER: &str = "\
# FHIR R4 (4.0.1): what resources are found by. From the SearchParameters, StructureDefinitions,
# ValueSets and the patient CompartmentDefinition of npm hl7.fhir.r4.examples@4.0.1 (HL7, CC0-1.0),
# written by `cargo xtask fhir-tables`: do not edit. Lines, by their first word:
# `parameter TYPE name kind definition one|many targets path:Datatype ...`; a path is of JSON member
#   names, arrays not marked; `[member=value]` after a step keeps objects with that member; after the
#   datatype `?Type` keeps references to that type and `@system` is the code system of a bound code;
#   `one`: no resource has more than one such element; targets `*`: any.
# `composite TYPE name definition base,base part part ...`, a part being `definition;path:Datatype;...`
#   below the base (`.`: the resource), or below the resource where the path starts with `/`.
# `compartment TYPE parameter ...`: what puts a resource into a patient's compartment.
# `summary TYPE element ...`, `always TYPE element ...`: what _summary=true keeps of a resource, data
#   type or group of elements, and what every subset keeps (mandatory elements and modifiers).
";

/// The table as text.
pub(crate) fn table(package: &Path) -> Result<String> {
    let definitions = Definitions::read(package)?;
    let parameters = parameters(package)?;
    let mut lines = Vec::new();
    let mut left_out = Vec::new();
    for parameter in &parameters {
        for base in &parameter.bases {
            let line = match parameter.kind.as_str() {
                "composite" => composite_line(&definitions, &parameters, parameter, base),
                _ => parameter_line(&definitions, parameter, base),
            };
            match line {
                Ok((line, skipped)) => {
                    let skipped = skipped.into_iter();
                    left_out.extend(skipped.map(|s| format!("{base} {}: {s}", parameter.name)));
                    lines.push(line);
                }
                Err(reason) => left_out.push(format!("{base} {}: {reason}", parameter.name)),
            }
        }
    }
    lines.sort();
    lines.extend(compartment_lines(package)?);
    lines.extend(subset_lines(&definitions));
    left_out.sort();
    let mut out = HEADER.to_owned();
    writeln!(out, "# Not compiled, so not searched by:")?;
    for line in left_out {
        writeln!(out, "#   {line}")?;
    }
    for line in lines {
        writeln!(out, "{line}")?;
    }
    Ok(out)
}

struct Parameter {
    name: String,
    kind: String,
    id: String,
    bases: Vec<String>,
    expression: String,
    targets: Vec<String>,
    /// Definition id and expression of each part of a composite.
    parts: Vec<(String, String)>,
}

const DEFINITION: &str = "http://hl7.org/fhir/SearchParameter/";

fn parameters(package: &Path) -> Result<Vec<Parameter>> {
    let bundle = read(&package.join("Bundle-searchParams.json"))?;
    let mut parameters = Vec::new();
    for entry in list(&bundle, "entry") {
        let resource = &entry["resource"];
        let url = text(resource, "url");
        let Some(id) = url.strip_prefix(DEFINITION) else {
            bail!("a definition of another place: {url}");
        };
        let parts = list(resource, "component").map(|part| {
            let definition = text(part, "definition").trim_start_matches(DEFINITION);
            (definition.to_owned(), text(part, "expression").to_owned())
        });
        parameters.push(Parameter {
            name: text(resource, "code").to_owned(),
            kind: text(resource, "type").to_owned(),
            id: id.to_owned(),
            bases: strings(resource, "base"),
            expression: text(resource, "expression").to_owned(),
            targets: strings(resource, "target"),
            parts: parts.collect(),
        });
    }
    Ok(parameters)
}

type Line = (String, Vec<String>);

fn parameter_line(
    definitions: &Definitions,
    parameter: &Parameter,
    base: &str,
) -> Result<Line, String> {
    if parameter.expression.is_empty() {
        return Err("it has no expression".to_owned());
    }
    let alternatives = parameter.expression.split('|').map(str::trim);
    let (mut patterns, mut skipped) = (Vec::<Pattern>::new(), Vec::new());
    for alternative in alternatives {
        let found = match compile(definitions, alternative, base) {
            Ok(Some(found)) => found,
            Ok(None) => continue,
            Err(reason) => {
                skipped.push(reason);
                continue;
            }
        };
        for pattern in found {
            match is_searchable(&parameter.kind, &pattern.of) {
                true if !patterns.contains(&pattern) => patterns.push(pattern),
                true => {}
                false => skipped.push(format!(
                    "{} of type {} is no {}",
                    pattern.path(),
                    pattern.of,
                    parameter.kind
                )),
            }
        }
    }
    if patterns.is_empty() {
        return Err(skipped.join("; "));
    }
    let stems: BTreeSet<&str> = patterns.iter().map(|p| p.stem.as_str()).collect();
    let one = stems.len() == 1 && patterns.iter().all(|p| !p.repeats);
    let targets = match parameter.targets.as_slice() {
        [] => "-".to_owned(),
        many if many.len() > 100 || many.iter().any(|t| t == "Resource") => "*".to_owned(),
        some => some.join(","),
    };
    let patterns: Vec<String> = patterns.iter().map(Pattern::text).collect();
    let line = format!(
        "parameter {base} {} {} {} {} {targets} {}",
        parameter.name,
        parameter.kind,
        parameter.id,
        if one { "one" } else { "many" },
        patterns.join(" ")
    );
    Ok((line, skipped))
}

fn composite_line(
    definitions: &Definitions,
    parameters: &[Parameter],
    parameter: &Parameter,
    base: &str,
) -> Result<Line, String> {
    let mut bases = Vec::new();
    for alternative in parameter.expression.split('|').map(str::trim) {
        bases.extend(compile(definitions, alternative, base)?.unwrap_or_default());
    }
    let mut parts = Vec::new();
    for (id, expression) in &parameter.parts {
        // DocumentReference's relationship names the definitions of its parts crosswise.
        let others = parameter.parts.iter().map(|(id, _)| id);
        let mut ids = std::iter::once(id).chain(others);
        let part = ids.find_map(|id| {
            let definition = parameters.iter().find(|p| p.id == *id)?;
            let paths = part_paths(definitions, definition, &bases, base, expression);
            Some((
                &definition.name,
                paths.ok().filter(|paths| !paths.is_empty())?,
            ))
        });
        let (name, paths) = part.ok_or_else(|| format!("the part {id} has no path"))?;
        parts.push(format!("{name};{}", paths.join(";")));
    }
    let path = |pattern: &Pattern| match pattern.path() {
        path if path.is_empty() => ".".to_owned(),
        path => path,
    };
    let bases: Vec<String> = bases.iter().map(path).collect();
    let line = format!(
        "composite {base} {} {} {} {}",
        parameter.name,
        parameter.id,
        bases.join(","),
        parts.join(" ")
    );
    Ok((line, Vec::new()))
}

/// The paths of a part of a composite: below its bases, or with `/` below the resource.
fn part_paths(
    definitions: &Definitions,
    definition: &Parameter,
    bases: &[Pattern],
    base: &str,
    expression: &str,
) -> Result<Vec<String>, String> {
    let mut paths = Vec::new();
    for alternative in expression.split('|').map(str::trim) {
        let (alternative, sign, starts) = match alternative.strip_prefix("%resource.") {
            Some(rest) => (rest, "/", vec![Pattern::root(base)]),
            None => (alternative, "", bases.to_vec()),
        };
        for start in starts {
            let from = start.steps.len();
            for mut pattern in definitions.follow(vec![start], alternative)? {
                if is_searchable(&definition.kind, &pattern.of) {
                    pattern.steps.drain(..from);
                    let path = format!("{sign}{}", pattern.text());
                    if !paths.contains(&path) {
                        paths.push(path);
                    }
                }
            }
        }
    }
    Ok(paths)
}

fn compartment_lines(package: &Path) -> Result<Vec<String>> {
    let compartment = read(&package.join("CompartmentDefinition-patient.json"))?;
    let mut lines = Vec::new();
    for of in list(&compartment, "resource") {
        let parameters = strings(of, "param");
        if !parameters.is_empty() {
            let code = text(of, "code");
            lines.push(format!("compartment {code} {}", parameters.join(" ")));
        }
    }
    lines.sort();
    Ok(lines)
}

fn subset_lines(definitions: &Definitions) -> Vec<String> {
    let mut kept: BTreeMap<(&str, &str), Vec<String>> = BTreeMap::new();
    for path in &definitions.order {
        let (Some(element), Some((owner, name))) =
            (definitions.elements.get(path), path.rsplit_once('.'))
        else {
            continue;
        };
        if owner == "Resource" || owner == "DomainResource" {
            continue;
        }
        for (json, _) in element.members(name) {
            if element.summary {
                let names = kept.entry(("summary", owner)).or_default();
                names.push(json.clone());
            }
            if element.always {
                kept.entry(("always", owner)).or_default().push(json);
            }
        }
    }
    let line = |((word, owner), names): ((&str, &str), Vec<String>)| {
        format!("{word} {owner} {}", names.join(" "))
    };
    kept.into_iter().map(line).collect()
}

/// What can be read from an element of a data type for a kind of parameter.
fn is_searchable(kind: &str, of: &str) -> bool {
    let listed: &[&str] = match kind {
        "token" => &[
            "CodeableConcept",
            "Coding",
            "Identifier",
            "ContactPoint",
            "code",
            "boolean",
            "id",
            "string",
            "uri",
            "exists",
        ],
        "string" => &[
            "string",
            "markdown",
            "HumanName",
            "Address",
            "CodeableConcept",
            "code",
            "id",
            "uri",
        ],
        "date" => &["date", "dateTime", "instant", "Period", "Timing"],
        "number" => &["decimal", "integer", "positiveInt", "unsignedInt", "Range"],
        "quantity" => &[
            "Quantity", "Age", "Count", "Distance", "Duration", "Money", "Range",
        ],
        "reference" => &["Reference", "canonical", "uri"],
        "uri" => &["uri", "url", "canonical", "oid", "uuid"],
        _ => &[],
    };
    listed.contains(&of)
}

#[derive(Clone, PartialEq)]
struct Pattern {
    /// JSON member names, each with the member and value that its objects must have.
    steps: Vec<(String, Option<(String, String)>)>,
    /// The path with choices not spelled out.
    stem: String,
    /// The data type, or the path of a group of elements.
    of: String,
    repeats: bool,
    target: Option<String>,
    system: Option<String>,
}

impl Pattern {
    fn root(base: &str) -> Self {
        Self {
            steps: Vec::new(),
            stem: String::new(),
            of: base.to_owned(),
            repeats: false,
            target: None,
            system: None,
        }
    }

    fn path(&self) -> String {
        let step = |(name, with): &(String, Option<(String, String)>)| match with {
            Some((member, value)) => format!("{name}[{member}={value}]"),
            None => name.clone(),
        };
        self.steps.iter().map(step).collect::<Vec<_>>().join(".")
    }

    fn text(&self) -> String {
        let target = self.target.as_ref().map(|t| format!("?{t}"));
        let system = self.system.as_ref().map(|s| format!("@{s}"));
        format!(
            "{}:{}{}{}",
            self.path(),
            self.of,
            target.unwrap_or_default(),
            system.unwrap_or_default()
        )
    }
}

/// The paths of one alternative of an expression; `None` when it is about another type.
fn compile(
    definitions: &Definitions,
    alternative: &str,
    base: &str,
) -> Result<Option<Vec<Pattern>>, String> {
    if alternative == "Patient.deceased.exists() and Patient.deceased != false" {
        let mut patterns = definitions.follow(vec![Pattern::root(base)], "deceased")?;
        for pattern in patterns.iter_mut().filter(|p| p.of != "boolean") {
            pattern.of = "exists".to_owned();
        }
        return Ok(Some(patterns));
    }
    let bare = alternative.trim_start_matches('(');
    let root = bare.split(['.', ' ']).next().unwrap_or_default();
    let common = root == "Resource" || root == "DomainResource";
    let rootless = !root.starts_with(|c: char| c.is_ascii_uppercase());
    if !common && !rootless && root != base {
        return Ok(None);
    }
    let rest = match rootless {
        true => alternative.to_owned(),
        false => {
            let rest = bare.get(root.len()..).unwrap_or_default();
            let open = alternative.get(..alternative.len() - bare.len());
            format!(
                "{}{}",
                open.unwrap_or_default(),
                rest.trim_start_matches('.')
            )
        }
    };
    definitions
        .follow(vec![Pattern::root(base)], &rest)
        .map(Some)
}

struct Element {
    /// Data types; for a group of elements its path.
    types: Vec<String>,
    choice: bool,
    repeats: bool,
    summary: bool,
    always: bool,
    system: Option<String>,
}

impl Element {
    /// The JSON member names of an element and their types.
    fn members(&self, name: &str) -> Vec<(String, String)> {
        let stem = name.trim_end_matches("[x]");
        let member = |of: &String| match self.choice {
            true => (format!("{stem}{}", capital(of)), of.clone()),
            false => (stem.to_owned(), of.clone()),
        };
        let mut members: Vec<_> = self.types.iter().map(member).collect();
        if !self.choice {
            members.truncate(1);
        }
        members
    }
}

struct Definitions {
    elements: BTreeMap<String, Element>,
    order: Vec<String>,
}

impl Definitions {
    fn read(package: &Path) -> Result<Self> {
        let mut definitions = Self {
            elements: BTreeMap::new(),
            order: Vec::new(),
        };
        let mut paths: Vec<_> = fs::read_dir(package)?
            .map(|entry| entry.map(|e| e.path()))
            .collect::<Result<_, _>>()?;
        paths.sort();
        for path in paths {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with("StructureDefinition-") {
                definitions.add(&read(&path)?, package)?;
            }
        }
        Ok(definitions)
    }

    fn add(&mut self, definition: &Value, package: &Path) -> Result<()> {
        let kind = text(definition, "kind");
        let name = text(definition, "name");
        let abstracts = ["Resource", "Element"];
        let own = text(definition, "derivation") == "specialization" || abstracts.contains(&name);
        if !own || !["resource", "complex-type"].contains(&kind) {
            return Ok(());
        }
        for element in list(&definition["snapshot"], "element") {
            let path = text(element, "path");
            if !path.contains('.') {
                continue;
            }
            let flag = |name: &str| element[name].as_bool().unwrap_or(false);
            let named = |of: &Value| match text(of, "code") {
                "BackboneElement" | "Element" => path.to_owned(),
                system if system.starts_with("http:") && path.matches('.').count() == 1 => {
                    "id".to_owned()
                }
                system if system.starts_with("http:") => "string".to_owned(),
                code => code.to_owned(),
            };
            let types = match element["contentReference"].as_str() {
                Some(reference) => vec![reference.trim_start_matches('#').to_owned()],
                None => list(element, "type").map(named).collect(),
            };
            let min = element["min"].as_u64().unwrap_or(0);
            let element = Element {
                system: bound_system(&element["binding"], package)?.filter(|_| types == ["code"]),
                types,
                choice: path.ends_with("[x]"),
                repeats: text(element, "max") == "*",
                summary: flag("isSummary"),
                always: min > 0 || flag("isModifier"),
            };
            self.elements.insert(path.to_owned(), element);
            self.order.push(path.to_owned());
        }
        Ok(())
    }

    /// Where a path leads from the starts.
    fn follow(&self, starts: Vec<Pattern>, expression: &str) -> Result<Vec<Pattern>, String> {
        let mut at = starts;
        let mut rest = expression.trim().to_owned();
        if let Some(inner) = rest.strip_prefix('(') {
            let (inner, after) = inner.split_once(')').ok_or("unbalanced")?;
            let (path, of) = inner.split_once(" as ").ok_or("not a cast")?;
            let after = after.trim_start_matches('.');
            let dot = if after.is_empty() { "" } else { "." };
            rest = format!("{path}.as({of}){dot}{after}");
        } else if let Some((path, of)) = rest.split_once(" as ") {
            rest = format!("{path}.as({of})");
        }
        for step in steps(&rest) {
            at = self.step(at, step)?;
            if at.is_empty() {
                return Err(format!("{expression} leads nowhere"));
            }
        }
        Ok(at)
    }

    fn step(&self, at: Vec<Pattern>, step: &str) -> Result<Vec<Pattern>, String> {
        let cast = step.strip_prefix("as(").or(step.strip_prefix("ofType("));
        if let Some(of) = cast.and_then(|rest| rest.strip_suffix(')')) {
            let fits = |pattern: &Pattern| pattern.of.eq_ignore_ascii_case(of);
            return Ok(at.into_iter().filter(fits).collect());
        }
        let condition = step
            .strip_prefix("where(")
            .and_then(|s| s.strip_suffix(')'));
        if let Some(condition) = condition {
            return restrict(at, condition);
        }
        if step.contains('(') || step.contains('[') {
            return Err(format!("{step} is not a path"));
        }
        let mut reached = Vec::new();
        for from in at {
            let plain = format!("{}.{step}", from.of);
            let choice = format!("{plain}[x]");
            let Some(element) = self.elements.get(&plain).or(self.elements.get(&choice)) else {
                continue;
            };
            for (member, of) in element.members(step) {
                let mut to = from.clone();
                to.steps.push((member, None));
                to.stem = format!("{}.{step}", from.stem);
                to.of = of;
                to.repeats |= element.repeats;
                to.system.clone_from(&element.system);
                reached.push(to);
            }
        }
        Ok(reached)
    }
}

fn restrict(mut at: Vec<Pattern>, condition: &str) -> Result<Vec<Pattern>, String> {
    let unknown = || format!("where({condition}) is not understood");
    if let Some(target) = condition.strip_prefix("resolve() is ") {
        for pattern in &mut at {
            pattern.target = Some(target.trim().to_owned());
        }
        return Ok(at);
    }
    let (member, value) = condition.split_once('=').ok_or_else(unknown)?;
    let quoted = value.trim().strip_prefix('\'');
    let value = quoted
        .and_then(|v| v.strip_suffix('\''))
        .ok_or_else(unknown)?;
    for pattern in &mut at {
        let (_, with) = pattern.steps.last_mut().ok_or_else(unknown)?;
        *with = Some((member.trim().to_owned(), value.to_owned()));
    }
    Ok(at)
}

/// The steps of a path: what stands between the dots that are in no parentheses.
fn steps(path: &str) -> Vec<&str> {
    let (mut depth, mut from, mut found) = (0_u32, 0, Vec::new());
    for (at, character) in path.char_indices() {
        match character {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            '.' if depth == 0 => {
                found.push(path.get(from..at).unwrap_or_default());
                from = at + 1;
            }
            _ => {}
        }
    }
    found.push(path.get(from..).unwrap_or_default());
    found.retain(|step| !step.is_empty());
    found
}

/// The code system of a required binding, when its value set has one.
fn bound_system(binding: &Value, package: &Path) -> Result<Option<String>> {
    let Some(set) = binding["valueSet"].as_str() else {
        return Ok(None);
    };
    let set = set.split('|').next().unwrap_or_default();
    let id = set.strip_prefix("http://hl7.org/fhir/ValueSet/");
    let (Some(id), "required") = (id, text(binding, "strength")) else {
        return Ok(None);
    };
    let path = package.join(format!("ValueSet-{id}.json"));
    if !path.is_file() {
        return Ok(None);
    }
    let set = read(&path)?;
    let systems: BTreeSet<&str> = list(&set["compose"], "include")
        .map(|include| text(include, "system"))
        .collect();
    let mut systems = systems.into_iter();
    match (systems.next(), systems.next()) {
        (Some(one), None) if !one.is_empty() => Ok(Some(one.to_owned())),
        _ => Ok(None),
    }
}

fn read(path: &Path) -> Result<Value> {
    let bytes = fs::read(path).with_context(|| format!("read {}", path.display()))?;
    serde_json::from_slice(&bytes).with_context(|| format!("parse {}", path.display()))
}

fn text<'a>(of: &'a Value, name: &str) -> &'a str {
    of[name].as_str().unwrap_or_default()
}

fn list<'a>(of: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    of[name].as_array().into_iter().flatten()
}

fn strings(of: &Value, name: &str) -> Vec<String> {
    let texts = list(of, name).filter_map(Value::as_str);
    texts.map(str::to_owned).collect()
}

fn capital(code: &str) -> String {
    let mut letters = code.chars();
    let first = letters.next().map(|c| c.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}
