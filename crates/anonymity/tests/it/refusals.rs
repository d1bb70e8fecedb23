//! What is refused, and how it is said.

use crate::{grouped, rows};
use anonymity::{
    Config, Hierarchy, Limits, Model, Recoding, Refusal, Table, TableError, anonymise,
};

fn hierarchy(text: &str) -> String {
    match Hierarchy::parse(text) {
        Ok(_) => "read".to_owned(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_hierarchy_is_refused_with_its_line() {
    let check = |text: &str, expect: &str| assert_eq!(hierarchy(text), expect);
    check("a;x;*\r\nb;x;*\n\nc;y;*\n", "read");
    check("", "line 1: the hierarchy is empty");
    check(
        "a;x;*\nb;x\n",
        "line 2: 2 levels where the first line has 3",
    );
    check("a;*\nb;*\na;*\n", "line 3: 'a' is on line 1 already");
    check(
        "a;x;p\nb;y;q\nc;x;q\n",
        "line 3: 'x' becomes 'q' at level 2 here and 'p' on line 1: what is equal at one level must be equal above it",
    );
    check(
        "a;x\nx;x\n",
        "line 2: 'x' at level 1 stands for other values than at level 0",
    );
    check(
        "a;*\nb;x\n",
        "line 1: '*' at level 1 stands for other values than at level 1",
    );
    check(
        "\"a;*\n",
        "line 1: a quoted field does not end where the field ends",
    );
}

#[test]
fn ages_are_intervals_and_the_old_are_one() {
    let ages = Hierarchy::intervals(90, &[5, 20]).expect("nested");
    assert_eq!((ages.levels(), ages.leaves()), (4, 91));
    let texts = |age: &str| {
        let leaf = ages.leaf(age).expect("an age");
        let of = |level| ages.text(level, leaf).to_owned();
        (0..4).map(of).collect::<Vec<_>>()
    };
    assert_eq!(texts("37"), ["37", "35-39", "20-39", "*"]);
    assert_eq!(texts("89"), ["89", "85-89", "80-89", "*"]);
    assert_eq!(texts("104"), ["90+", "90+", "90+", "*"]);
    assert_eq!(ages.leaf("old"), None);
    assert!(Hierarchy::intervals(90, &[5, 12]).is_err());
}

#[test]
fn a_value_outside_its_hierarchy_is_not_shown() {
    let mut builder = Table::builder().quasi("q", grouped(4, &[2]));
    builder.push(&["v1"]).expect("a leaf");
    let error = builder.push(&["Rare Name"]).expect_err("no leaf");
    assert_eq!(
        error.to_string(),
        "row 2, column 'q': the hierarchy does not have this value"
    );
    let table = builder.build().expect("the first row");
    assert_eq!(table.rows(), 1);
    assert!(!format!("{table:?}").contains("v1"));
}

#[test]
fn a_text_lacks_no_declared_column() {
    let mut builder = Table::builder().insensitive("b").insensitive("a");
    assert_eq!(
        builder.push_delimited("a;c\n1;2\n", ';'),
        Err(TableError::NoColumn("b".into()))
    );
    builder.push_delimited("a;c;b\n1;2;3\n", ';').expect("all");
    let table = builder.build().expect("a table");
    let texts: Vec<_> = table
        .columns()
        .iter()
        .map(|c| c.text(c.codes()[0]))
        .collect();
    assert_eq!(texts, ["3", "1"]);
}

fn small() -> Table {
    let mut builder = Table::builder()
        .identifying("name")
        .quasi("q", grouped(4, &[2]))
        .sensitive("s");
    for row in rows("Ann v0 x/Ben v0 x/Cem v1 x/Dee v2 y") {
        builder.push(&row).expect("a row");
    }
    builder.build().expect("a table")
}

#[test]
fn what_cannot_be_is_refused() {
    let table = small();
    let check = |config: Config<'_>, expect: Refusal| {
        for recoding in [Recoding::Global, Recoding::Local] {
            let config = Config {
                recoding,
                ..config.clone()
            };
            assert_eq!(anonymise(&table, &config).err(), Some(expect.clone()));
        }
    };
    check(
        Config::k_anonymity(5),
        Refusal::TooFew { rows: 4, needed: 5 },
    );
    check(Config::k_anonymity(0), Refusal::Parameter("k"));
    let diverse = |column: &str, l| Config {
        models: vec![Model::DistinctDiversity {
            column: column.into(),
            l,
        }],
        ..Config::k_anonymity(1)
    };
    check(diverse("q", 2), Refusal::NotSensitive("q".into()));
    check(diverse("s", 3), Refusal::Unreachable { allowed: 0 });
    check(
        Config {
            suppression: 1.5,
            ..Config::k_anonymity(1)
        },
        Refusal::Parameter("suppression"),
    );
    check(
        Config {
            models: vec![Model::KMap { k: 2 }],
            ..Config::k_anonymity(1)
        },
        Refusal::Population,
    );
    check(
        Config {
            limits: Limits {
                lattice: 2,
                ..Limits::default()
            },
            ..Config::k_anonymity(1)
        },
        Refusal::Lattice { nodes: 3, limit: 2 },
    );
}

#[test]
fn a_search_without_work_finds_nothing_or_proves_nothing() {
    let table = small();
    let config = Config {
        limits: Limits {
            work: 0,
            ..Limits::default()
        },
        ..Config::k_anonymity(2)
    };
    match anonymise(&table, &config) {
        Ok(made) => assert!(!made.proven()),
        Err(refusal) => assert_eq!(refusal, Refusal::Work),
    }
}

#[test]
fn identifying_columns_are_gone() {
    let table = small();
    let made = anonymise(&table, &Config::k_anonymity(1)).expect("as it is");
    assert_eq!(made.to_delimited(','), "q,s\nv0,x\nv0,x\nv1,x\nv2,y\n");
    assert!(table.column("name").expect("declared").codes().is_empty());
    assert!(!format!("{made:?}").contains("v0"));
}

#[test]
fn a_record_left_out_is_gone_whole() {
    let table = small();
    let config = Config {
        suppression: 0.25,
        ..Config::k_anonymity(3)
    };
    let made = anonymise(&table, &config).expect("one may go");
    assert_eq!(made.to_delimited(','), "q,s\n2x0,x\n2x0,x\n2x0,x\n");
    assert_eq!((made.suppressed(), made.row(3)), (1, None));
}
