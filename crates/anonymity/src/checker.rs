//! Whether a class meets the models.
//!
//! Every model here (presence where no two classes are matched by one person) survives the union of two classes that meet it. Only the *floor* (how many records and how
//! many of the population) and distinct diversity survive adding any record whatever; so only the floor is relied
//! on to say what a more general node will do to suppression.

use crate::{
    config::{Config, Distance, Model, Recoding, Refusal},
    space::Space,
    spread::{self, Ground},
    table::{Column, Role, Table},
};

/// Distances are sums of rounded shares.
const ROUNDING: f64 = 1e-12;

pub(crate) struct Checker {
    /// A class has so many records.
    pub(crate) rows: u32,
    /// And matches so many of the population.
    pub(crate) population: u32,
    /// And holds at most this share of them.
    presence: Option<f64>,
    guards: Vec<Guard>,
}

struct Guard {
    rule: Rule,
    cardinality: usize,
    /// Of each tuple, where its pairs begin; one more at the end.
    from: Vec<u32>,
    /// Code and how many records.
    pairs: Vec<(u32, u32)>,
}

enum Rule {
    Distinct(usize),
    Entropy(f64),
    Recursive(f64, usize),
    Close {
        t: f64,
        ground: Ground,
        whole: Vec<f64>,
    },
}

impl Checker {
    pub(crate) fn new(table: &Table, config: &Config<'_>) -> Result<Self, Refusal> {
        let mut made = Self {
            rows: 1,
            population: 0,
            presence: None,
            guards: Vec::new(),
        };
        for model in &config.models {
            made.add(table, config, model)?;
        }
        Ok(made)
    }

    /// Reads off what each tuple's records hold.
    pub(crate) fn attach(&mut self, table: &Table, config: &Config<'_>, space: &Space) {
        let named = config.models.iter().filter_map(|model| match model {
            Model::DistinctDiversity { column, .. }
            | Model::EntropyDiversity { column, .. }
            | Model::RecursiveDiversity { column, .. }
            | Model::Closeness { column, .. } => table.column(column),
            Model::KAnonymity { .. } | Model::KMap { .. } | Model::Presence { .. } => None,
        });
        for (guard, column) in self.guards.iter_mut().zip(named) {
            (guard.from, guard.pairs) = pairs(space, column.codes());
        }
    }

    /// Whether only the floor matters.
    pub(crate) fn floor_only(&self) -> bool {
        self.guards.is_empty() && self.presence.is_none()
    }

    /// Whether few enough of those who match a class are in it.
    #[expect(clippy::cast_precision_loss, reason = "bounded by MAX_ROWS")]
    pub(crate) fn present(&self, rows: u64, population: u64) -> bool {
        let most = self.presence.unwrap_or(f64::INFINITY);
        rows as f64 <= most * population.max(1) as f64
    }

    /// How much asking of one class takes, beside looking at its tuples.
    pub(crate) fn effort(&self) -> u64 {
        let close = self.guards.iter();
        close
            .filter(|guard| matches!(guard.rule, Rule::Close { .. }))
            .map(|guard| guard.cardinality as u64)
            .sum()
    }

    /// Whether a class that meets the models still does with any record more.
    pub(crate) fn grows(&self) -> bool {
        self.guards
            .iter()
            .all(|guard| matches!(guard.rule, Rule::Distinct(_)))
    }

    /// Whether a class is large enough.
    pub(crate) fn floor(&self, rows: u64, population: u64) -> bool {
        rows >= u64::from(self.rows) && population >= u64::from(self.population)
    }

    /// Whether a class of these tuples, large enough, meets the rest.
    pub(crate) fn holds(&self, members: &[u32]) -> bool {
        self.guards.iter().all(|guard| guard.holds(members))
    }

    fn add(&mut self, table: &Table, config: &Config<'_>, model: &Model) -> Result<(), Refusal> {
        let share = |value: f64| (0.0..=1.0).contains(&value);
        let (rule, column) = match model {
            Model::KAnonymity { k } => {
                at_least_one(*k, "k")?;
                self.rows = self.rows.max(*k);
                return Ok(());
            }
            Model::KMap { k } => {
                at_least_one(*k, "k")?;
                if config.population.is_none() {
                    return Err(Refusal::Population);
                }
                self.population = self.population.max(*k);
                return Ok(());
            }
            Model::Presence { most } => {
                if !share(*most) {
                    return Err(Refusal::Parameter("presence"));
                }
                if config.population.is_none() {
                    return Err(Refusal::Population);
                }
                if config.recoding == Recoding::Local {
                    return Err(Refusal::PresenceLocally);
                }
                let so_far = self.presence.unwrap_or(1.0);
                self.presence = Some(so_far.min(*most));
                return Ok(());
            }
            Model::DistinctDiversity { column, l } => {
                self.diverse(*l)?;
                (Rule::Distinct(*l as usize), sensitive(table, column)?)
            }
            Model::EntropyDiversity { column, l } => {
                if !(*l >= 1.0 && *l <= f64::from(u32::MAX)) {
                    return Err(Refusal::Parameter("l"));
                }
                (Rule::Entropy(*l), sensitive(table, column)?)
            }
            Model::RecursiveDiversity { column, c, l } => {
                self.diverse(*l)?;
                if !(*c > 0.0 && c.is_finite()) {
                    return Err(Refusal::Parameter("c"));
                }
                let rule = Rule::Recursive(*c, *l as usize);
                (rule, sensitive(table, column)?)
            }
            Model::Closeness {
                column,
                t,
                distance,
            } => {
                if !share(*t) {
                    return Err(Refusal::Parameter("t"));
                }
                let column = sensitive(table, column)?;
                let ground = ground(column, distance)?;
                let whole = spread::shares(&counts(column));
                let t = *t;
                (Rule::Close { t, ground, whole }, column)
            }
        };
        self.guards.push(Guard {
            rule,
            cardinality: column.cardinality(),
            from: Vec::new(),
            pairs: Vec::new(),
        });
        Ok(())
    }

    /// So many values need so many records.
    fn diverse(&mut self, l: u32) -> Result<(), Refusal> {
        at_least_one(l, "l")?;
        self.rows = self.rows.max(l);
        Ok(())
    }
}

impl Guard {
    fn holds(&self, members: &[u32]) -> bool {
        let pairs = members.iter().flat_map(|tuple| {
            let at = *tuple as usize;
            &self.pairs[self.from[at] as usize..self.from[at + 1] as usize]
        });
        if matches!(self.rule, Rule::Close { .. }) || self.cardinality <= members.len() {
            let mut counts = vec![0_u32; self.cardinality];
            for (code, rows) in pairs {
                counts[*code as usize] += rows;
            }
            return self.rule.holds(&counts);
        }
        // Which value is how frequent does not matter: only those that occur.
        let mut pairs: Vec<(u32, u32)> = pairs.copied().collect();
        pairs.sort_unstable();
        let runs = pairs.chunk_by(|a, b| a.0 == b.0);
        let counts: Vec<u32> = runs
            .map(|run| run.iter().map(|(_, rows)| rows).sum())
            .collect();
        self.rule.holds(&counts)
    }
}

impl Rule {
    fn holds(&self, counts: &[u32]) -> bool {
        match self {
            Self::Distinct(l) => spread::distinct(counts) >= *l,
            Self::Entropy(l) => spread::effective(counts) >= *l * (1.0 - ROUNDING),
            Self::Recursive(c, l) => spread::recursive(counts, *l) < *c,
            Self::Close { t, ground, whole } => {
                ground.distance(&spread::shares(counts), whole) <= *t + ROUNDING
            }
        }
    }
}

/// How often each code of a column occurs.
pub(crate) fn counts(column: &Column) -> Vec<u32> {
    let mut counts = vec![0; column.cardinality()];
    for code in column.codes() {
        counts[*code as usize] += 1;
    }
    counts
}

/// What a distance means for the codes of a column.
pub(crate) fn ground(column: &Column, distance: &Distance) -> Result<Ground, Refusal> {
    let no_order = || Refusal::NoOrder(column.name().to_owned());
    let codes = 0..u32::try_from(column.cardinality()).unwrap_or(u32::MAX);
    let texts = codes.clone().map(|code| column.text(code));
    match distance {
        Distance::Equal => Ok(Ground::Equal),
        Distance::Numeric => {
            let numbers: Option<Vec<f64>> = texts
                .map(|text| text.trim().parse().ok().filter(|n: &f64| n.is_finite()))
                .collect();
            let numbers = numbers.ok_or_else(no_order)?;
            let mut order: Vec<u32> = codes.collect();
            order.sort_by(|a, b| numbers[*a as usize].total_cmp(&numbers[*b as usize]));
            let mut places = vec![0; order.len()];
            for (place, code) in (0..).zip(order) {
                places[code as usize] = place;
            }
            Ok(Ground::Ordered(places))
        }
        Distance::Listed(list) => {
            let places: Option<Vec<u32>> = texts
                .map(|text| {
                    let place = list.iter().position(|listed| listed == text)?;
                    u32::try_from(place).ok()
                })
                .collect();
            let mut places = places.ok_or_else(no_order)?;
            // Only values that occur make the order.
            let mut sorted = places.clone();
            sorted.sort_unstable();
            for place in &mut places {
                let rank = sorted.partition_point(|other| other < place);
                *place = u32::try_from(rank).unwrap_or(u32::MAX);
            }
            Ok(Ground::Ordered(places))
        }
        Distance::Hierarchy(hierarchy) => {
            let leaves: Option<Vec<u32>> = texts.map(|text| hierarchy.leaf(text)).collect();
            let leaves = leaves.ok_or_else(no_order)?;
            let levels = (0..hierarchy.levels())
                .map(|level| leaves.iter().map(move |leaf| hierarchy.code(level, *leaf)));
            Ok(Ground::Tree(levels.map(Iterator::collect).collect()))
        }
    }
}

fn at_least_one(value: u32, name: &'static str) -> Result<(), Refusal> {
    if value == 0 {
        return Err(Refusal::Parameter(name));
    }
    Ok(())
}

pub(crate) fn sensitive<'t>(table: &'t Table, name: &str) -> Result<&'t Column, Refusal> {
    table
        .column(name)
        .filter(|column| *column.role() == Role::Sensitive)
        .ok_or_else(|| Refusal::NotSensitive(name.to_owned()))
}

/// Of each tuple its codes with their counts, one tuple after the other.
fn pairs(space: &Space, codes: &[u32]) -> (Vec<u32>, Vec<(u32, u32)>) {
    let mut each: Vec<(u32, u32)> = space
        .tuple_of_row
        .iter()
        .zip(codes)
        .map(|(tuple, code)| (*tuple, *code))
        .collect();
    each.sort_unstable();
    let (mut from, mut pairs) = (Vec::with_capacity(space.tuples() + 1), Vec::new());
    let mut runs = each.chunk_by(|a, b| a == b).peekable();
    for tuple in 0..space.tuples() {
        from.push(u32::try_from(pairs.len()).unwrap_or(u32::MAX));
        while let Some(run) = runs.next_if(|run| run[0].0 as usize == tuple) {
            let rows = u32::try_from(run.len()).unwrap_or(u32::MAX);
            pairs.push((run[0].1, rows));
        }
    }
    from.push(u32::try_from(pairs.len()).unwrap_or(u32::MAX));
    (from, pairs)
}
