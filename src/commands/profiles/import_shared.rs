//! `bbdl profiles import` into a shared state. Rows go to the database in batches, and each batch is kept as a whole.

use std::collections::HashMap;

use super::{
    import::{Lines, Seen, Summary, Verdict, bad, exists, open, same_person},
    row::{BadRow, PersonMark, Row},
};
use crate::{
    auth::store::StoreKind,
    cli::{ProfilesImport, SharedStateArgs},
    commands::{Context, shared_state},
    error::{Error, Result},
    fleet::shard,
    profile::{ProfileName, TakenNames},
    runtime::block_on,
    shared_state::{
        SharedState,
        enrollee::{Imported, NewEnrollee},
        schema::Migrate,
    },
};

/// How many rows one statement writes to the database.
const BATCH: usize = 400;

/// Runs the command.
///
/// # Errors
/// [`crate::error::Exit::Disk`] if the file cannot be read; errors of the database; if rows were refused, the gravest
/// reason.
pub(super) fn run(context: &Context, args: &ProfilesImport, shared: &SharedStateArgs) -> Result<()> {
    let mut lines = Lines { input: open(context, &args.file)? };
    let (mut names, mut summary) =
        (Names { state: shared_state::typed_option(context), ..Names::default() }, Summary::default());
    block_on(async {
        let Some(state) = shared_state::open(context, shared, Migrate::Create).await? else { return Ok(()) };
        state.require_keys()?;
        let people = state.people().await?;
        let mark = |[server, client_id, patient]: &[String; 3]| PersonMark::of(server, client_id, patient);
        names.people = people.into_iter().filter_map(|(name, person)| Some((mark(&person)?, name))).collect();
        let mut batch = Vec::new();
        for number in 1.. {
            let Some(line) = lines.next().map_err(|cause| Error::disk("read", &args.file, &cause))? else { break };
            if !line.is_blank() {
                let row = line.text().map_err(|why| BadRow { name: None, why: why.to_owned() }).and_then(Row::read);
                batch.push((number, names.check(number, row)));
            }
            if batch.len() == BATCH {
                summary.tell(context, &keep(&state, std::mem::take(&mut batch), args.replace).await?);
            }
        }
        summary.tell(context, &keep(&state, batch, args.replace).await?);
        Ok(())
    })?;
    summary.into_result(context)
}

/// The names and people in the file, and those that existed before.
#[derive(Default)]
struct Names {
    taken: TakenNames,
    seen: Seen,
    people: HashMap<PersonMark, ProfileName>,
    /// The option for the shared state that a command to type has to name, if any.
    state: &'static str,
}

impl Names {
    /// Refuses a name, a refresh token or a person that occurs twice, and a name that not every system can use for a
    /// directory.
    fn check(&mut self, number: u64, row: Result<Row, BadRow>) -> Result<Row, Verdict> {
        let row = row.map_err(|BadRow { name, why }| Verdict::refused(name, bad(why)))?;
        let refuse = |why: String| Err(Verdict::refused(Some(row.name.to_string()), bad(why)));
        if let Err(why) = self.seen.check(&row) {
            return refuse(why);
        }
        if let Some(other) = row.person_mark().and_then(|mark| self.people.get(&mark)).filter(|name| **name != row.name)
        {
            return Err(Verdict::refused(Some(row.name.to_string()), same_person(other, self.state)));
        }
        if let Err(why) = self.taken.take(row.name.clone()) {
            return refuse(why.to_string());
        }
        self.seen.note(number, &row);
        Ok(row)
    }
}

/// Keeps a batch. Returns the result of each row.
async fn keep(
    state: &SharedState,
    batch: Vec<(u64, Result<Row, Verdict>)>,
    replace: bool,
) -> Result<Vec<(u64, Verdict)>> {
    let (mut verdicts, mut numbers, mut rows) = (Vec::with_capacity(batch.len()), Vec::new(), Vec::new());
    for (number, row) in batch {
        match row {
            Err(verdict) => verdicts.push((number, verdict)),
            Ok(row) => {
                numbers.push(number);
                rows.push(enrollee_of(&row));
            }
        }
    }
    let imported = state.import(&rows, replace).await?;
    for ((number, row), imported) in numbers.into_iter().zip(&rows).zip(imported) {
        verdicts.push((
            number,
            match imported {
                Imported::Yes => Verdict::kept(&row.name, Vec::new()),
                Imported::Exists => Verdict::refused(Some(row.name.to_string()), exists()),
            },
        ));
    }
    verdicts.sort_by_key(|(number, _)| *number);
    Ok(verdicts)
}

fn enrollee_of(row: &Row) -> NewEnrollee {
    NewEnrollee {
        name: row.name.clone(),
        // The tokens are in no token store of this machine.
        profile: row.profile(StoreKind::File, None),
        credential: row.credential().clone(),
        shard_number: shard::number_of(row.name.as_str()),
    }
}
