//! Parquet files: one table each, written a row group at a time.

use crate::group::{Group, Sexes, Share};
use parquet::basic::{Compression, ConvertedType, Repetition, Type as Physical};
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int32Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::Type;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

/// Rows of a row group.
const ROWS: usize = 8_192;

/// What a column holds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Number,
    Real,
}

/// A column: its name, what it holds, whether it may be absent, and what it means.
pub(crate) struct Column {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) optional: bool,
    pub(crate) says: &'static str,
}

/// A table: its file, what it holds, its columns.
pub(crate) struct Table {
    pub(crate) file: &'static str,
    pub(crate) says: &'static str,
    pub(crate) columns: &'static [Column],
}

const fn column(name: &'static str, kind: Kind, says: &'static str) -> Column {
    Column {
        name,
        kind,
        optional: false,
        says,
    }
}

const fn optional(name: &'static str, kind: Kind, says: &'static str) -> Column {
    Column {
        optional: true,
        ..column(name, kind, says)
    }
}

const GROUP: Column = column("group", Kind::Text, "Name of the group in this release.");

pub(crate) const TABLES: [Table; 4] = [
    Table {
        file: "groups.parquet",
        says: "One row a group.",
        columns: &[
            GROUP,
            column(
                "at_least",
                Kind::Number,
                "Subjects, rounded down to a multiple of k.",
            ),
            column(
                "female",
                Kind::Number,
                "1: enough of the subjects are female. 0: not told.",
            ),
            column(
                "male",
                Kind::Number,
                "1: enough of the subjects are male. 0: not told.",
            ),
            optional(
                "age_from",
                Kind::Number,
                "Enough of the subjects are at least so old, in completed years.",
            ),
            optional(
                "age_to",
                Kind::Number,
                "And at most so old, in completed years; absent with age_from: and more.",
            ),
        ],
    },
    Table {
        file: "features.parquet",
        says: "One row a phenotypic feature of a group.",
        columns: &[
            GROUP,
            column("term", Kind::Text, "Term of HPO."),
            column("label", Kind::Text, "Its label."),
            column(
                "state",
                Kind::Text,
                "observed; excluded: looked for and not there.",
            ),
            column(
                "share",
                Kind::Text,
                "Of how many subjects it is stated: some (from k of them to under half), many (half to under 80 %) or nearly-all (80 % and more). Of the others it is not known.",
            ),
        ],
    },
    Table {
        file: "diagnoses.parquet",
        says: "One row a diagnosis of a group; no row: not told.",
        columns: &[
            GROUP,
            column("disease", Kind::Text, "Id of OMIM or Orphanet."),
            column("label", Kind::Text, "Its name."),
            column(
                "of",
                Kind::Text,
                "all: each subject of the group has it. some: it is one of several.",
            ),
        ],
    },
    Table {
        file: "measurements.parquet",
        says: "One row a measurement of a group. Of each subject with a value the median counts, once.",
        columns: &[
            GROUP,
            column("system", Kind::Text, "Code system of the measurement."),
            column("code", Kind::Text, "What was measured."),
            column("unit", Kind::Text, "Unit, in UCUM."),
            column(
                "at_least",
                Kind::Number,
                "Subjects with a value, rounded down to a multiple of k.",
            ),
            column(
                "mean",
                Kind::Real,
                "Mean over the subjects, to three digits.",
            ),
            column(
                "deviation",
                Kind::Real,
                "Standard deviation over the subjects, to two digits.",
            ),
        ],
    },
];

/// A value of a row.
enum Cell {
    Text(String),
    Number(Option<i32>),
    Real(f64),
}

/// Bytes on their way out of a writer.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Shared {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// One file in the making.
struct Writing {
    table: &'static Table,
    rows: Vec<Vec<Cell>>,
    writer: SerializedFileWriter<Shared>,
    out: Shared,
}

/// The four files in the making.
pub(crate) struct Tables(Vec<Writing>);

impl Tables {
    pub(crate) fn new() -> Result<Self, ParquetError> {
        let tables = TABLES.iter().map(Writing::new);
        Ok(Self(tables.collect::<Result<_, _>>()?))
    }

    /// Takes a group; gives the bytes that are ready, with their file.
    pub(crate) fn group(
        &mut self,
        group: &Group,
    ) -> Result<Vec<(&'static str, Vec<u8>)>, ParquetError> {
        let mut ready = Vec::new();
        for writing in &mut self.0 {
            for row in rows(writing.table.file, group) {
                writing.row(row)?;
            }
            ready.push((writing.table.file, writing.out.take()));
        }
        Ok(ready)
    }

    /// The last bytes of each file.
    pub(crate) fn finish(self) -> Result<Vec<(&'static str, Vec<u8>)>, ParquetError> {
        let mut ready = Vec::new();
        for mut writing in self.0 {
            writing.flush()?;
            writing.writer.close()?;
            ready.push((writing.table.file, writing.out.take()));
        }
        Ok(ready)
    }
}

impl Writing {
    fn new(table: &'static Table) -> Result<Self, ParquetError> {
        let columns = table.columns.iter().map(|column| {
            let (physical, converted) = match column.kind {
                Kind::Text => (Physical::BYTE_ARRAY, ConvertedType::UTF8),
                Kind::Number => (Physical::INT32, ConvertedType::NONE),
                Kind::Real => (Physical::DOUBLE, ConvertedType::NONE),
            };
            let repetition = match column.optional {
                true => Repetition::OPTIONAL,
                false => Repetition::REQUIRED,
            };
            Type::primitive_type_builder(column.name, physical)
                .with_converted_type(converted)
                .with_repetition(repetition)
                .build()
                .map(Arc::new)
        });
        let schema = Type::group_type_builder("schema")
            .with_fields(columns.collect::<Result<_, _>>()?)
            .build()?;
        // The same groups give the same bytes: nothing of the time or the library's version.
        let properties = WriterProperties::builder()
            .set_created_by(crate::FORMAT.to_owned())
            .set_compression(Compression::SNAPPY)
            .build();
        let out = Shared::default();
        let writer =
            SerializedFileWriter::new(out.clone(), Arc::new(schema), Arc::new(properties))?;
        Ok(Self {
            table,
            rows: Vec::new(),
            writer,
            out,
        })
    }

    fn row(&mut self, row: Vec<Cell>) -> Result<(), ParquetError> {
        self.rows.push(row);
        match self.rows.len() {
            ROWS.. => self.flush(),
            _ => Ok(()),
        }
    }

    /// Writes the rows there are as one row group.
    fn flush(&mut self) -> Result<(), ParquetError> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let rows = std::mem::take(&mut self.rows);
        let mut group = self.writer.next_row_group()?;
        for (at, column) in self.table.columns.iter().enumerate() {
            let Some(mut writer) = group.next_column()? else {
                return Err(ParquetError::General("a column is missing".to_owned()));
            };
            let cells = rows.iter().filter_map(|row| row.get(at));
            match column.kind {
                Kind::Text => {
                    let values: Vec<ByteArray> = cells
                        .map(|cell| match cell {
                            Cell::Text(text) => ByteArray::from(text.as_str()),
                            _ => ByteArray::from(""),
                        })
                        .collect();
                    writer
                        .typed::<ByteArrayType>()
                        .write_batch(&values, None, None)?;
                }
                Kind::Real => {
                    let values: Vec<f64> = cells
                        .map(|cell| match cell {
                            Cell::Real(value) => *value,
                            _ => f64::NAN,
                        })
                        .collect();
                    writer
                        .typed::<DoubleType>()
                        .write_batch(&values, None, None)?;
                }
                Kind::Number => {
                    let cells: Vec<Option<i32>> = cells
                        .map(|cell| match cell {
                            Cell::Number(value) => *value,
                            _ => None,
                        })
                        .collect();
                    let values: Vec<i32> = cells.iter().flatten().copied().collect();
                    let levels: Vec<i16> =
                        cells.iter().map(|cell| i16::from(cell.is_some())).collect();
                    let levels = column.optional.then_some(levels.as_slice());
                    writer
                        .typed::<Int32Type>()
                        .write_batch(&values, levels, None)?;
                }
            }
            writer.close()?;
        }
        group.close()?;
        Ok(())
    }
}

/// The name of a share in a table.
pub(crate) const fn share(share: Share) -> &'static str {
    match share {
        Share::Some => "some",
        Share::Many => "many",
        Share::NearlyAll => "nearly-all",
    }
}

fn rows(file: &str, group: &Group) -> Vec<Vec<Cell>> {
    let text = |text: &str| Cell::Text(text.to_owned());
    let number = |number: u32| Cell::Number(i32::try_from(number).ok());
    let name = || text(&group.id);
    match file {
        "groups.parquet" => {
            let is = |sex| number(u32::from(group.sex.contains(&sex)));
            let ages = group.ages;
            vec![vec![
                name(),
                number(group.at_least),
                is(Sexes::Female),
                is(Sexes::Male),
                Cell::Number(ages.and_then(|ages| i32::try_from(ages.from).ok())),
                Cell::Number(
                    ages.and_then(|ages| ages.to)
                        .and_then(|to| i32::try_from(to).ok()),
                ),
            ]]
        }
        "features.parquet" => {
            let observed = group.observed.iter().map(|feature| ("observed", feature));
            let excluded = group.excluded.iter().map(|feature| ("excluded", feature));
            let row = |(state, feature): (&str, &crate::Feature)| {
                vec![
                    name(),
                    text(&feature.term.to_string()),
                    text(&feature.label),
                    text(state),
                    text(share(feature.share)),
                ]
            };
            observed.chain(excluded).map(row).collect()
        }
        "diagnoses.parquet" => {
            let row = |diagnosis: &crate::Diagnosis| {
                vec![
                    name(),
                    text(&diagnosis.id),
                    text(&diagnosis.label),
                    text(if diagnosis.all { "all" } else { "some" }),
                ]
            };
            group.diagnoses.iter().map(row).collect()
        }
        _ => {
            let row = |measure: &crate::Measure| {
                vec![
                    name(),
                    text(&measure.system),
                    text(&measure.code),
                    text(&measure.unit),
                    number(measure.at_least),
                    Cell::Real(measure.mean),
                    Cell::Real(measure.deviation),
                ]
            };
            group.measured.iter().map(row).collect()
        }
    }
}
