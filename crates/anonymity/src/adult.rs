//! The Adult data, on which tests and `ithaca bench privacy` measure: 30,162 census records of 1994 and a hierarchy for
//! each column. See `data/adult/ATTRIBUTION.md`.

/// The records: text with `;` between fields, the columns' names first; compressed (zstd).
pub const RECORDS_ZST: &[u8] = include_bytes!("../data/adult/adult.csv.zst");

/// Each column and its hierarchy in ARX's form, in the order of the records' columns.
pub const HIERARCHIES: [(&str, &str); 9] = [
    ("sex", include_str!("../data/adult/adult_hierarchy_sex.csv")),
    ("age", include_str!("../data/adult/adult_hierarchy_age.csv")),
    (
        "race",
        include_str!("../data/adult/adult_hierarchy_race.csv"),
    ),
    (
        "marital-status",
        include_str!("../data/adult/adult_hierarchy_marital-status.csv"),
    ),
    (
        "education",
        include_str!("../data/adult/adult_hierarchy_education.csv"),
    ),
    (
        "native-country",
        include_str!("../data/adult/adult_hierarchy_native-country.csv"),
    ),
    (
        "workclass",
        include_str!("../data/adult/adult_hierarchy_workclass.csv"),
    ),
    (
        "occupation",
        include_str!("../data/adult/adult_hierarchy_occupation.csv"),
    ),
    (
        SENSITIVE,
        include_str!("../data/adult/adult_hierarchy_salary-class.csv"),
    ),
];

/// The column that is no quasi-identifier in what is measured.
pub const SENSITIVE: &str = "salary-class";
