//! The codes that required bindings allow, read once from `bindings.txt`.

use std::collections::BTreeMap;
use std::sync::LazyLock;

/// The official value sets as text; see its first lines.
const SETS: &str = include_str!("bindings.txt");

pub(crate) static BINDINGS: LazyLock<Bindings> = LazyLock::new(Bindings::read);

/// The number of a value set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SetId(usize);

/// All value sets that bind an element and whose codes are known.
pub(crate) struct Bindings {
    sets: Vec<ValueSet>,
    numbers: BTreeMap<&'static str, SetId>,
}

/// The codes of a value set.
pub(crate) struct ValueSet {
    pub(crate) name: &'static str,
    /// Sorted.
    codes: Vec<&'static str>,
    /// Code system and code, sorted.
    coded: Vec<(&'static str, &'static str)>,
}

impl Bindings {
    fn read() -> Self {
        let mut sets: Vec<ValueSet> = Vec::new();
        for line in SETS.lines().filter(|line| !line.starts_with('#')) {
            let mut words = line.split(' ');
            let (Some(name), Some(system)) = (words.next(), words.next()) else {
                continue;
            };
            let codes: Vec<&str> = words.collect();
            if codes.is_empty() {
                continue;
            }
            if sets.last().is_none_or(|last| last.name != name) {
                sets.push(ValueSet {
                    name,
                    codes: Vec::new(),
                    coded: Vec::new(),
                });
            }
            if let Some(set) = sets.last_mut() {
                set.coded.extend(codes.iter().map(|code| (system, *code)));
                set.codes.extend(codes);
            }
        }
        for set in &mut sets {
            set.codes.sort_unstable();
            set.coded.sort_unstable();
        }
        let numbered = sets.iter().enumerate();
        let numbers = numbered
            .map(|(number, set)| (set.name, SetId(number)))
            .collect();
        Self { sets, numbers }
    }

    /// The value set of this name, when its codes are known.
    pub(crate) fn named(&self, name: &str) -> Option<SetId> {
        self.numbers.get(name).copied()
    }

    /// The value set of a number.
    pub(crate) fn get(&self, id: SetId) -> Option<&ValueSet> {
        self.sets.get(id.0)
    }
}

impl ValueSet {
    /// Whether a code is in the set, whatever its code system.
    pub(crate) fn has(&self, code: &str) -> bool {
        self.codes.binary_search(&code).is_ok()
    }

    /// The code of the set that is spelled like this.
    pub(crate) fn spelled(&self, code: &str) -> Option<&'static str> {
        let found = self.codes.binary_search(&code).ok()?;
        self.codes.get(found).copied()
    }

    /// Code system and code of each, sorted.
    pub(crate) fn coded(&self) -> &[(&'static str, &'static str)] {
        &self.coded
    }

    /// Whether a code of a code system is in the set.
    pub(crate) fn has_coded(&self, system: &str, code: &str) -> bool {
        self.coded.binary_search(&(system, code)).is_ok()
    }
}
