use anonymity::{Config, Hierarchy, Recoding, Table, adult, anonymise};
fn main() {
    let text = zstd::decode_all(adult::RECORDS_ZST).unwrap();
    let text = String::from_utf8(text).unwrap();
    let mut builder = Table::builder();
    for (column, hierarchy) in adult::HIERARCHIES {
        builder = match column { adult::SENSITIVE => builder.sensitive(column), _ => builder.quasi(column, Hierarchy::parse(hierarchy).unwrap()) };
    }
    builder.push_delimited(&text, ';').unwrap();
    let table = builder.build().unwrap();
    for _ in 0..10 {
        let s = std::time::Instant::now();
        let config = Config { recoding: Recoding::Local, suppression: 0.05, average_risk: Some(0.0101), ..Config::k_anonymity(5) };
        let made = anonymise(&table, &config).unwrap();
        println!("{:?} {}", s.elapsed(), made.granularity());
    }
}
