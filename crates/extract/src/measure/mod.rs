//! Measuring extracts.
mod utility;

#[allow(missing_docs)]
pub fn explore(
    hpo: &crate::Hpo<'_>,
    subjects: &[crate::Subject],
    held: &[crate::Subject],
    config: &crate::Config,
) {
    use crate::attack::{View, Way};
    let Ok(extract) = crate::cluster(hpo, subjects, config) else {
        return;
    };
    let mut who: Vec<u32> = extract
        .clusters
        .iter()
        .flat_map(|c| c.members.clone())
        .collect();
    who.sort_unstable();
    let told: std::collections::BTreeSet<_> = who
        .iter()
        .filter_map(|&w| subjects[w as usize].diagnosis)
        .collect();
    let held: Vec<_> = held.iter().collect();
    let mut sizes: std::collections::BTreeMap<usize, usize> = Default::default();
    for c in &extract.clusters {
        *sizes.entry(c.members.len()).or_default() += 1;
    }
    println!(
        "{config:?} clusters {} people {} kept {:.3?} sizes {sizes:?}",
        extract.clusters.len(),
        who.len(),
        extract.kept
    );
    let terms: usize = extract
        .clusters
        .iter()
        .map(|c| c.profile.observed.len())
        .sum();
    println!(
        "terms per cluster {:.1}",
        terms as f64 / extract.clusters.len() as f64
    );
    for (name, view) in [
        ("raw", View::raw(hpo, subjects, &who)),
        ("clusters", View::of_extract(hpo, &extract)),
    ] {
        for way in Way::ALL {
            let u = utility::utility(hpo, &view, &held, &|d| told.contains(&d), way);
            println!(
                "  {name:>9} {:>12} {:.3} {:.3} {}",
                way.name(),
                u.top1,
                u.top10,
                u.people
            );
        }
    }
}
