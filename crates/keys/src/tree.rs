//! The shape of RFC 6962 trees, for any hash of inner nodes.
//!
//! A tree over n > 1 leaves splits at the largest power of two below n. Positions and sizes are
//! `u64`, since the log's do not fit the memory of a 32-bit machine.

use codec::Digest;
use std::ops::Range;

/// The root over `leaves`, or `empty` without any.
pub(crate) fn root(
    leaves: &[Digest],
    empty: impl FnOnce() -> Digest,
    node: &impl Fn(&Digest, &Digest) -> Digest,
) -> Digest {
    match leaves {
        [] => empty(),
        [leaf] => *leaf,
        _ => subtree(leaves, node),
    }
}

fn subtree(leaves: &[Digest], node: &impl Fn(&Digest, &Digest) -> Digest) -> Digest {
    if let [leaf] = leaves {
        return *leaf;
    }
    let (left, right) = leaves.split_at(leaves.len().div_ceil(2).next_power_of_two());
    node(&subtree(left, node), &subtree(right, node))
}

/// The leaves under each node of the inclusion path of `index`, lowest first (RFC 9162 section
/// 2.1.3.1); `None` if the tree has no such leaf.
pub(crate) fn inclusion_ranges(index: u64, size: u64) -> Option<Vec<Range<u64>>> {
    if index >= size {
        return None;
    }
    let mut ranges = Vec::new();
    let (mut low, mut high) = (0, size);
    while high - low > 1 {
        let middle = low + split(high - low);
        if index < middle {
            ranges.push(middle..high);
            high = middle;
        } else {
            ranges.push(low..middle);
            low = middle;
        }
    }
    ranges.reverse();
    Some(ranges)
}

/// The leaves under each node of the consistency proof of two sizes, lowest first (RFC 9162 section
/// 2.1.4.1); empty for equal sizes and from the empty tree, `None` if the tree would shrink.
pub(crate) fn consistency_ranges(old: u64, new: u64) -> Option<Vec<Range<u64>>> {
    if old > new {
        return None;
    }
    let mut ranges = Vec::new();
    if old == 0 {
        return Some(ranges);
    }
    let (mut low, mut high) = (0, new);
    while high != old {
        let middle = low + split(high - low);
        if old <= middle {
            ranges.push(middle..high);
            high = middle;
        } else {
            ranges.push(low..middle);
            low = middle;
        }
    }
    // The old root itself is known to the verifier if it is a node of the new tree.
    if low > 0 {
        ranges.push(low..high);
    }
    ranges.reverse();
    Some(ranges)
}

/// The roots over `ranges` of `leaves`; `None` if one lies outside.
pub(crate) fn range_roots(
    leaves: &[Digest],
    ranges: &[Range<u64>],
    node: &impl Fn(&Digest, &Digest) -> Digest,
) -> Option<Vec<Digest>> {
    ranges
        .iter()
        .map(|range| {
            let start = usize::try_from(range.start).ok()?;
            let end = usize::try_from(range.end).ok()?;
            let leaves = leaves.get(start..end).filter(|leaves| !leaves.is_empty())?;
            Some(subtree(leaves, node))
        })
        .collect()
}

/// The root that an inclusion path leads to (RFC 9162 section 2.1.3.2); `None` if the path does not
/// have the shape that `index` and `size` demand.
pub(crate) fn inclusion_root(
    leaf: &Digest,
    index: u64,
    size: u64,
    path: &[Digest],
    node: &impl Fn(&Digest, &Digest) -> Digest,
) -> Option<Digest> {
    let mut last = size.checked_sub(1)?;
    if index > last {
        return None;
    }
    let mut at = index;
    let mut root = *leaf;
    for sibling in path {
        if last == 0 {
            return None;
        }
        if at & 1 == 1 || at == last {
            root = node(sibling, &root);
            // A right edge without a sibling at its level moves up unchanged.
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            root = node(&root, sibling);
        }
        at >>= 1;
        last >>= 1;
    }
    (last == 0).then_some(root)
}

/// Whether `path` proves that the tree of `old` leaves is a prefix of the one of `new` (RFC 9162
/// section 2.1.4.2, and the empty tree a prefix of every tree).
pub(crate) fn verify_consistency(
    (old, old_root): (u64, &Digest),
    (new, new_root): (u64, &Digest),
    path: &[Digest],
    empty: impl FnOnce() -> Digest,
    node: &impl Fn(&Digest, &Digest) -> Digest,
) -> bool {
    if old > new {
        return false;
    }
    if old == new {
        return path.is_empty() && old_root == new_root;
    }
    if old == 0 {
        return path.is_empty() && *old_root == empty();
    }
    // A power of two is itself a node of the new tree, so that the proof leaves it out.
    let (first, rest) = if old.is_power_of_two() {
        (old_root, path)
    } else {
        match path.split_first() {
            Some(split) => split,
            None => return false,
        }
    };
    let shift = (old - 1).trailing_ones();
    let (mut at, mut last) = (shr(old - 1, shift), shr(new - 1, shift));
    let (mut from_old, mut from_new) = (*first, *first);
    for sibling in rest {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            from_old = node(sibling, &from_old);
            from_new = node(sibling, &from_new);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            from_new = node(&from_new, sibling);
        }
        at >>= 1;
        last >>= 1;
    }
    last == 0 && from_old == *old_root && from_new == *new_root
}

/// The largest power of two below `size`, which is at least 2.
fn split(size: u64) -> u64 {
    size.div_ceil(2).next_power_of_two()
}

fn shr(value: u64, bits: u32) -> u64 {
    value.checked_shr(bits).unwrap_or(0)
}
