//! The TOML file about a table, and the table read by it.

use crate::govern::within_size;
use anonymity::{
    Config, Distance, Hierarchy, Model, Recoding, Table, TableError, delimited,
    hierarchy::{HierarchyError, Problem},
};
use anyhow::{Context as _, Result, anyhow, bail, ensure};
use serde::Deserialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

/// The longest table, of people or of a population.
const TABLE_BYTES: u64 = 1 << 30;
/// Its most rows.
const TABLE_ROWS: usize = 10_000_000;
/// The longest hierarchy.
const HIERARCHY_BYTES: u64 = 64 << 20;
/// The longest file about a table.
const COLUMNS_BYTES: u64 = 1 << 20;
/// A probability that is counted as high when nothing is said.
const THRESHOLD: f64 = 0.2;

/// How quasi-identifiers are read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// As any text, generalised already or not.
    Texts,
    /// As leaves of their hierarchies.
    Leaves,
}

/// The file, and where it is.
pub(super) struct Declared {
    said: Said,
    path: PathBuf,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    #[serde(default = "comma")]
    separator: char,
    #[serde(default)]
    models: Models,
    columns: BTreeMap<String, Role>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Models {
    k: Option<u32>,
    k_map: Option<u32>,
    presence: Option<f64>,
    average_risk: Option<f64>,
    left_out: f64,
    recoding: Way,
    population: Option<PathBuf>,
    sampled: Option<f64>,
    threshold: Option<f64>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Way {
    Global,
    #[default]
    Local,
}

#[derive(Deserialize)]
#[serde(tag = "role", rename_all = "kebab-case", deny_unknown_fields)]
enum Role {
    Identifying {},
    QuasiIdentifying {
        hierarchy: Option<PathBuf>,
        intervals: Option<Vec<u32>>,
        below: Option<u32>,
    },
    Sensitive(Guard),
    Insensitive {},
}

/// What must hold of a sensitive column.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Guard {
    l: Option<u32>,
    entropy_l: Option<f64>,
    recursive: Option<Recursive>,
    t: Option<f64>,
    #[serde(default)]
    distance: Far,
    order: Option<Vec<String>>,
    hierarchy: Option<PathBuf>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
struct Recursive {
    c: f64,
    l: u32,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Far {
    #[default]
    Equal,
    Numeric,
}

fn comma() -> char {
    ','
}

impl Declared {
    pub(super) fn read(path: &Path) -> Result<Self> {
        let shown = path.display();
        let text = text(path, "the columns", COLUMNS_BYTES)?;
        let said: Said = toml::from_str(&text).map_err(|error| {
            let before = error.span().and_then(|span| text.get(..span.start));
            let line = before.map_or(1, |before| before.matches('\n').count() + 1);
            // The line itself is not shown: it may be one of the table, where files were mistaken.
            let why = error.message().replace('\n', " ");
            anyhow!("{shown}, line {line}: {why}; docs/table.toml shows how columns are declared")
        })?;
        let separator = said.separator;
        ensure!(
            !matches!(separator, '"' | '\n' | '\r'),
            "{shown}: separator cannot be a quote or a line end"
        );
        for (name, share) in [
            ("presence", said.models.presence),
            ("average_risk", said.models.average_risk),
            ("sampled", said.models.sampled),
            ("threshold", said.models.threshold),
        ] {
            if let Some(share) = share {
                ensure!(
                    share > 0.0 && share <= 1.0,
                    "{shown}: models.{name} is {share}; it takes a share, above 0 and at most 1"
                );
            }
        }
        let left_out = said.models.left_out;
        ensure!(
            (0.0..=1.0).contains(&left_out),
            "{shown}: models.left_out is {left_out}; it takes a share, 0 to 1"
        );
        let path = path.to_owned();
        Ok(Self { said, path })
    }

    pub(super) fn separator(&self) -> char {
        self.said.separator
    }

    pub(super) fn population(&self) -> Option<&Path> {
        self.said.models.population.as_deref()
    }

    pub(super) fn sampled(&self) -> Option<f64> {
        self.said.models.sampled
    }

    pub(super) fn threshold(&self) -> f64 {
        self.said.models.threshold.unwrap_or(THRESHOLD)
    }

    /// Whether anything must hold.
    pub(super) fn asks(&self) -> bool {
        let models = &self.said.models;
        models.k.is_some()
            || models.k_map.is_some()
            || models.presence.is_some()
            || models.average_risk.is_some()
            || self.guards().any(|(_, guard)| guard.asks())
    }

    /// The names of a table's quasi-identifiers, in its order.
    pub(super) fn quasi<'t>(&self, table: &'t Table) -> Vec<&'t str> {
        let is = |name: &str| {
            matches!(
                self.said.columns.get(name),
                Some(Role::QuasiIdentifying { .. })
            )
        };
        let names = table.columns().iter().map(|column| column.name());
        names.filter(|name| is(name)).collect()
    }

    /// The names of the sensitive columns, and how far apart their values are.
    pub(super) fn sensitive(&self) -> Result<Vec<(&str, Distance)>> {
        let each = self.guards();
        each.map(|(name, guard)| Ok((name, self.distance(name, guard)?)))
            .collect()
    }

    pub(super) fn config<'p>(&self, population: Option<&'p Table>) -> Result<Config<'p>> {
        let asked = &self.said.models;
        let mut models = Vec::new();
        models.extend(asked.k.map(|k| Model::KAnonymity { k }));
        models.extend(asked.k_map.map(|k| Model::KMap { k }));
        models.extend(asked.presence.map(|most| Model::Presence { most }));
        for (name, guard) in self.guards() {
            let column = || name.to_owned();
            models.extend(guard.l.map(|l| Model::DistinctDiversity {
                column: column(),
                l,
            }));
            models.extend(guard.entropy_l.map(|l| Model::EntropyDiversity {
                column: column(),
                l,
            }));
            models.extend(
                guard
                    .recursive
                    .map(|Recursive { c, l }| Model::RecursiveDiversity {
                        column: column(),
                        c,
                        l,
                    }),
            );
            if let Some(t) = guard.t {
                models.push(Model::Closeness {
                    column: column(),
                    t,
                    distance: self.distance(name, guard)?,
                });
            }
        }
        Ok(Config {
            models,
            recoding: match asked.recoding {
                Way::Global => Recoding::Global,
                Way::Local => Recoding::Local,
            },
            suppression: asked.left_out,
            average_risk: asked.average_risk,
            ..self.nothing(population)
        })
    }

    /// Nothing that must hold.
    pub(super) fn nothing<'p>(&self, population: Option<&'p Table>) -> Config<'p> {
        Config {
            population,
            ..Config::k_anonymity(1)
        }
    }

    /// The table, and the population if one is named.
    pub(super) fn tables(&self, file: &Path, reading: Reading) -> Result<(Table, Option<Table>)> {
        let own = text(file, "the table", TABLE_BYTES)?;
        let order = self.order(file, &own)?;
        let people = self.population().map(|named| {
            let path = self.beside(named);
            let text = text(&path, "the population", TABLE_BYTES)?;
            let names = self.first_line(&path, &text)?;
            Ok::<_, anyhow::Error>((path, text, names))
        });
        let people = people.transpose()?;
        let mut made = BTreeMap::new();
        for name in &order {
            if let Some(Role::QuasiIdentifying {
                hierarchy,
                intervals,
                below,
            }) = self.said.columns.get(name)
                && reading == Reading::Leaves
            {
                let given = (hierarchy.as_deref(), intervals.as_deref(), *below);
                let of = match self.hierarchy(name, given)? {
                    Some(of) => of,
                    None => {
                        let others = people.as_ref();
                        let others = others.map(|(path, text, _)| (path.as_path(), text.as_str()));
                        self.plain(name, [Some((file, own.as_str())), others])?
                    }
                };
                made.insert(name.as_str(), Arc::new(of));
            }
        }
        let table = self.table(file, &own, &order, &made, false)?;
        let population = match &people {
            Some((path, text, names)) => {
                let lacks = made.keys().find(|name| !names.iter().any(|n| n == **name));
                if let Some(name) = lacks {
                    bail!("the population {} has no column '{name}'", path.display());
                }
                Some(self.table(path, text, &order, &made, true)?)
            }
            None => None,
        };
        Ok((table, population))
    }

    /// The columns of a table, each of which must have a role, and each of whose roles a column.
    fn order(&self, file: &Path, text: &str) -> Result<Vec<String>> {
        let names = self.first_line(file, text)?;
        let (shown, said) = (file.display(), self.path.display());
        // A table without its first line shows people there: columns are named by their place.
        for (place, name) in (1..).zip(&names) {
            ensure!(
                self.said.columns.contains_key(name),
                "column {place} of the table {shown} has no role in {said}: give it one ('identifying' drops it)"
            );
        }
        let mut known = BTreeSet::new();
        for (place, name) in (1..).zip(&names) {
            ensure!(
                known.insert(name),
                "column {place} of the table {shown} has the name of one before it: rename it"
            );
        }
        let missing = self.said.columns.keys().find(|name| !known.contains(name));
        if let Some(name) = missing {
            bail!("the table {shown} has no column '{name}', of which {said} speaks");
        }
        let quasi = names.iter().filter_map(|name| self.said.columns.get(name));
        ensure!(
            quasi
                .filter(|role| matches!(role, Role::QuasiIdentifying { .. }))
                .count()
                > 0,
            "{said} has no column with the role 'quasi-identifying': say what others may know of people"
        );
        Ok(names)
    }

    fn first_line(&self, file: &Path, text: &str) -> Result<Vec<String>> {
        let shown = file.display();
        let mut lines = delimited::lines(text);
        let (number, first) = lines
            .next()
            .with_context(|| format!("{shown} is empty: its first line names the columns"))?;
        let rows = lines.count();
        ensure!(rows > 0, "{shown} has no rows below its first line");
        ensure!(
            rows <= TABLE_ROWS,
            "{shown} has {rows} rows, more than {TABLE_ROWS}: divide it"
        );
        let names = delimited::fields(first, self.separator())
            .map_err(|why| anyhow!("{shown}, line {number}: {why}"))?;
        Ok(names.into_iter().map(String::from).collect())
    }

    fn table(
        &self,
        file: &Path,
        text: &str,
        order: &[String],
        hierarchies: &BTreeMap<&str, Arc<Hierarchy>>,
        population: bool,
    ) -> Result<Table> {
        let mut builder = Table::builder();
        for name in order {
            builder = match (self.said.columns.get(name), hierarchies.get(name.as_str())) {
                (Some(Role::QuasiIdentifying { .. }), Some(of)) => {
                    builder.quasi(name, Arc::clone(of))
                }
                _ if population => builder,
                (Some(Role::Sensitive(_)), _) => builder.sensitive(name),
                (Some(Role::QuasiIdentifying { .. } | Role::Insensitive {}), _) => {
                    builder.insensitive(name)
                }
                (Some(Role::Identifying {}) | None, _) => builder.identifying(name),
            };
        }
        let read = builder.push_delimited(text, self.separator());
        read.and_then(|()| builder.build()).map_err(|why| {
            let advice = match why {
                TableError::NotInHierarchy { .. } => {
                    ": add it to the hierarchy, or correct the row"
                }
                _ => "",
            };
            anyhow!("the table {} is refused: {why}{advice}", file.display())
        })
    }

    /// `None` where values may only be kept or dropped.
    fn hierarchy(
        &self,
        name: &str,
        given: (Option<&Path>, Option<&[u32]>, Option<u32>),
    ) -> Result<Option<Hierarchy>> {
        let said = self.path.display();
        match given {
            (Some(_), Some(_), _) => {
                bail!("{said}: column '{name}' has a hierarchy and intervals: give one of them")
            }
            (None, None, Some(_)) | (Some(_), None, Some(_)) => {
                bail!("{said}: column '{name}' has 'below' without intervals")
            }
            (Some(file), None, None) => self.tree(name, file).map(Some),
            // A number of the caller's: what is usual for ages would make one of all postcodes.
            (None, Some(_), None) => bail!(
                "{said}: column '{name}' has intervals without 'below', from which on all numbers are one; of ages it is 90"
            ),
            (None, Some(widths), Some(below)) => {
                let made = Hierarchy::intervals(below, widths);
                made.map(Some)
                    .map_err(|why| anyhow!("{said}: column '{name}': {}", fault(&why.problem)))
            }
            (None, None, None) => Ok(None),
        }
    }

    fn tree(&self, name: &str, file: &Path) -> Result<Hierarchy> {
        let path = self.beside(file);
        let text = text(&path, "the hierarchy", HIERARCHY_BYTES)?;
        Hierarchy::parse(&text).map_err(|HierarchyError { line, problem }| {
            let (shown, why) = (path.display(), fault(&problem));
            anyhow!("the hierarchy {shown} of column '{name}' is refused: line {line}: {why}")
        })
    }

    /// The values of a column in these texts, which may only be kept or dropped.
    fn plain(&self, name: &str, texts: [Option<(&Path, &str)>; 2]) -> Result<Hierarchy> {
        let mut values = BTreeSet::new();
        for (file, text) in texts.into_iter().flatten() {
            let mut lone = Table::builder().insensitive(name);
            let read = lone.push_delimited(text, self.separator());
            let lone = read
                .and_then(|()| lone.build())
                .map_err(|why| anyhow!("the table {} is refused: {why}", file.display()))?;
            let column = lone.column(name).context("a column is missing")?;
            let codes = 0..u32::try_from(column.cardinality()).unwrap_or(u32::MAX);
            values.extend(codes.map(|code| column.text(code).to_owned()));
        }
        let values: Vec<String> = values.into_iter().collect();
        Hierarchy::flat(&values).map_err(|why| {
            anyhow!(
                "the values of column '{name}' make no hierarchy: {}; give it one of its own",
                fault(&why.problem)
            )
        })
    }

    fn guards(&self) -> impl Iterator<Item = (&str, &Guard)> {
        let columns = self.said.columns.iter();
        columns.filter_map(|(name, role)| match role {
            Role::Sensitive(guard) => Some((name.as_str(), guard)),
            _ => None,
        })
    }

    fn distance(&self, name: &str, guard: &Guard) -> Result<Distance> {
        match (guard.distance, &guard.order, &guard.hierarchy) {
            (Far::Equal, None, None) => Ok(Distance::Equal),
            (Far::Numeric, None, None) => Ok(Distance::Numeric),
            (Far::Equal, Some(order), None) => Ok(Distance::Listed(order.clone())),
            (Far::Equal, None, Some(file)) => {
                Ok(Distance::Hierarchy(Arc::new(self.tree(name, file)?)))
            }
            _ => bail!(
                "{}: column '{name}' has more than one of distance, order and hierarchy",
                self.path.display()
            ),
        }
    }

    /// A file that is named in this one.
    fn beside(&self, file: &Path) -> PathBuf {
        self.path.parent().unwrap_or(Path::new("")).join(file)
    }
}

impl Guard {
    fn asks(&self) -> bool {
        self.l.is_some() || self.entropy_l.is_some() || self.recursive.is_some() || self.t.is_some()
    }
}

fn text(path: &Path, what: &str, most: u64) -> Result<String> {
    let shown = path.display();
    ensure!(
        fs::metadata(path).map_or(true, |found| found.is_file()),
        "cannot read {what} {shown}: it is no file"
    );
    let text = String::from_utf8(within_size(path, what, most)?)
        .map_err(|_| anyhow!("{what} {shown} is not in UTF-8: convert it"))?;
    Ok(match text.strip_prefix('\u{feff}') {
        Some(rest) => rest.to_owned(),
        None => text,
    })
}

/// What is wrong with a hierarchy, without its values: it may be the table, where files were mistaken.
fn fault(problem: &Problem) -> String {
    match problem {
        Problem::Repeated { first, .. } => format!("its first value is on line {first} already"),
        Problem::NotNested { level, first, .. } => format!(
            "it meets line {first} below level {level} and parts from it there: what is equal at one level must be equal above it"
        ),
        Problem::Ambiguous { level, other, .. } => {
            format!("a text at level {level} stands for other values than at level {other}")
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_is_read() {
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/table.toml");
        let declared = Declared::read(&docs).unwrap();
        assert!(declared.asks());
        assert_eq!(declared.sensitive().unwrap().len(), 1);
    }
}
