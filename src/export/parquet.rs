//! Parquet. Amounts are decimals with two places, so that sums are exact.

use std::{fs::File, sync::Arc};

use jiff::civil::Date;
use parquet::{
    basic::Compression,
    data_type::{ByteArray, ByteArrayType, Int32Type, Int64Type},
    errors::ParquetError,
    file::{properties::WriterProperties, writer::SerializedFileWriter},
    schema::parser::parse_message_type,
};

use super::{Cell, Columns, Rows, Type, unwritten};
use crate::{
    error::{Error, Result},
    files::durable::AtomicFile,
};

/// Rows that are held in memory and written together.
const GROUP: usize = 10_000;

pub(super) struct Parquet {
    out: SerializedFileWriter<File>,
    columns: Vec<Held>,
    rows: usize,
    file: AtomicFile,
}

/// The cells of a column that are not written yet, and which rows have a value.
enum Held {
    Texts(Vec<ByteArray>, Vec<i16>),
    Numbers(Vec<i64>, Vec<i16>),
    /// Days since 1970-01-01.
    Days(Vec<i32>, Vec<i16>),
    /// Codes; whether there is one (1) or the list is empty (0); whether it continues a list (1) or begins one (0).
    Lists(Vec<ByteArray>, Vec<i16>, Vec<i16>),
}

impl Rows for Parquet {
    const EXTENSION: &'static str = "parquet";

    fn begin(file: AtomicFile, head: &Columns) -> Result<Self> {
        let handle = file.file().map_err(|cause| Error::disk("write", file.place(), &cause))?;
        let columns = &head.columns;
        let fields = columns.iter().map(|(name, kind)| match kind {
            Type::Text => format!("optional byte_array {name} (string);"),
            Type::Day => format!("optional int32 {name} (date);"),
            Type::List => format!(
                "required group {name} (list) {{ repeated group list {{ required byte_array element (string); }} }}"
            ),
            Type::Count => format!("optional int64 {name};"),
            Type::Money => format!("optional int64 {name} (decimal(18, 2));"),
        });
        let message = format!("message {} {{ {} }}", head.table, fields.collect::<String>());
        let schema = parse_message_type(&message).map_err(|cause| unwritten(&file, &cause))?;
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
        let out = SerializedFileWriter::new(handle, Arc::new(schema), Arc::new(properties))
            .map_err(|cause| unwritten(&file, &cause))?;
        let columns = columns.iter().map(|(_, kind)| match kind {
            Type::Text => Held::Texts(Vec::new(), Vec::new()),
            Type::Day => Held::Days(Vec::new(), Vec::new()),
            Type::List => Held::Lists(Vec::new(), Vec::new(), Vec::new()),
            Type::Count | Type::Money => Held::Numbers(Vec::new(), Vec::new()),
        });
        Ok(Self { out, columns: columns.collect(), rows: 0, file })
    }

    fn row(&mut self, cells: &[Cell<'_>]) -> Result<()> {
        for (column, cell) in self.columns.iter_mut().zip(cells) {
            match (column, cell) {
                (Held::Texts(texts, present), Cell::Text(text)) => {
                    texts.push(text.as_bytes().to_vec().into());
                    present.push(1);
                }
                (Held::Numbers(numbers, present), Cell::Count(number)) => {
                    numbers.push(*number);
                    present.push(1);
                }
                (Held::Numbers(numbers, present), Cell::Money(amount)) => {
                    numbers.push(amount.0);
                    present.push(1);
                }
                (Held::Days(days, present), Cell::Day(day)) => {
                    days.push((*day - Date::constant(1970, 1, 1)).get_days());
                    present.push(1);
                }
                (Held::Lists(codes, present, continues), Cell::List(list)) if !list.is_empty() => {
                    codes.extend(list.iter().map(|code| ByteArray::from(code.as_bytes().to_vec())));
                    present.extend(list.iter().map(|_| 1));
                    continues.extend((0..list.len()).map(|index| i16::from(index > 0)));
                }
                (Held::Lists(_, present, continues), _) => {
                    present.push(0);
                    continues.push(0);
                }
                (Held::Texts(_, present) | Held::Numbers(_, present) | Held::Days(_, present), _) => present.push(0),
            }
        }
        self.rows += 1;
        if self.rows == GROUP { self.write() } else { Ok(()) }
    }

    fn bytes(&self) -> u64 {
        self.out.bytes_written() as u64
    }

    fn finish(mut self) -> Result<AtomicFile> {
        if self.rows > 0 {
            self.write()?;
        }
        self.out.close().map_err(|cause| unwritten(&self.file, &cause))?;
        Ok(self.file)
    }
}

impl Parquet {
    fn write(&mut self) -> Result<()> {
        self.rows = 0;
        self.group().map_err(|cause| unwritten(&self.file, &cause))
    }

    fn group(&mut self) -> std::result::Result<(), ParquetError> {
        let mut group = self.out.next_row_group()?;
        for column in &mut self.columns {
            let Some(mut writer) = group.next_column()? else { break };
            match column {
                Held::Texts(texts, present) => {
                    writer.typed::<ByteArrayType>().write_batch(texts, Some(present), None)?;
                    texts.clear();
                    present.clear();
                }
                Held::Days(days, present) => {
                    writer.typed::<Int32Type>().write_batch(days, Some(present), None)?;
                    days.clear();
                    present.clear();
                }
                Held::Lists(codes, present, continues) => {
                    writer.typed::<ByteArrayType>().write_batch(codes, Some(present), Some(continues))?;
                    codes.clear();
                    present.clear();
                    continues.clear();
                }
                Held::Numbers(numbers, present) => {
                    writer.typed::<Int64Type>().write_batch(numbers, Some(present), None)?;
                    numbers.clear();
                    present.clear();
                }
            }
            writer.close()?;
        }
        group.close().map(|_| ())
    }
}
