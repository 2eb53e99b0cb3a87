//! Golden tables: for one recorded claim of each type at each version, where in the payload each cell of the tables
//! comes from. `golden/` was written from the payloads, not from the output of export. Here, a reader that knows
//! nothing about claims follows it, and the result is compared with export.
//!
//! A block begins with the payload's file and names every column of `claims` in order, then those of its first lines,
//! with paths from the line:
//!
//! | written | means |
//! | --- | --- |
//! | `-` | the payload does not have it |
//! | `=text` | that text: it is derived, and not in the payload |
//! | `count item` | how many there are |
//! | `a[0].b` | the value there |
//! | `^a` | the value there, from the claim |
//! | `lower a` | the same in lower case |
//! | `a & b` | both, with a blank between |
//! | `a, b` or `x[2,0].a` | a list |
//! | `sum a, b` | their sum |
//! | `… @ NAME` | and CMS's name of the amount there is this one, by code or URL |

use std::{collections::BTreeMap, fs};

use crate::support::shared;
use bbdl::{
    claim::{Cents, Claim, Disposition, Kind},
    export::{CLAIMS, Cell, LINES, Type},
};
use serde_json::Value;

const GOLDEN: [&str; 3] = [include_str!("golden/v1.txt"), include_str!("golden/v2.txt"), include_str!("golden/v3.txt")];

/// A cell as text. A list has commas.
fn shown(cell: &Cell<'_>) -> String {
    match cell {
        Cell::Nothing => String::new(),
        Cell::Text(text) => text.to_string(),
        Cell::Day(day) => day.to_string(),
        Cell::List(list) => list.join(","),
        Cell::Count(count) => count.to_string(),
        Cell::Money(amount) => amount.to_string(),
    }
}

/// The values at a path, with the values that contain them; `[0,2]` names two places.
fn follow<'v>(from: &'v Value, path: &str) -> Vec<Vec<&'v Value>> {
    let mut found = vec![vec![from]];
    for step in path.split(['.', '[']) {
        let take = |value: &'v Value| -> Vec<&'v Value> {
            match step.strip_suffix(']') {
                Some(indexes) => {
                    indexes.split(',').filter_map(|index| value.get(index.parse::<usize>().unwrap())).collect()
                }
                None => value.get(step).into_iter().collect(),
            }
        };
        found = found
            .into_iter()
            .flat_map(|way| {
                let next = take(way.last().unwrap());
                next.into_iter().map(move |value| [way.clone(), vec![value]].concat())
            })
            .collect();
    }
    found
}

fn written(value: &Value) -> String {
    match value {
        Value::String(text) => text.trim().trim_matches('"').to_owned(),
        Value::Number(number) => number.to_string(),
        other => panic!("{other} is no value of a cell"),
    }
}

/// Whether one of the values that contain an amount has this name.
fn is_named(way: &[&Value], name: &str) -> bool {
    let ends_so = |value: &Value| value.as_str().is_some_and(|text| text.rsplit('/').next() == Some(name));
    way.iter().any(|holder| {
        let codings = ["category", "type"].map(|concept| holder[concept]["coding"].as_array());
        ends_so(&holder["url"]) || codings.into_iter().flatten().flatten().any(|coding| ends_so(&coding["code"]))
    })
}

/// The expected cell, from the payload.
fn expected(claim: &Value, part: &Value, rule: &str, kind: Type) -> Result<String, String> {
    if rule == "-" {
        return Ok(String::new());
    }
    if let Some(text) = rule.strip_prefix('=') {
        return Ok(text.to_owned());
    }
    if let Some(list) = rule.strip_prefix("count ") {
        return Ok(part[list].as_array().map_or(0, Vec::len).to_string());
    }
    let (rule, names) =
        rule.split_once(" @ ").map_or((rule, Vec::new()), |(rule, names)| (rule, names.split(", ").collect()));
    let (word, paths) = match rule.split_once(' ') {
        Some((word @ ("sum" | "lower"), paths)) => (word, paths),
        _ => ("", rule),
    };
    let mut values = Vec::new();
    for path in paths.split([',', '&']).map(str::trim).fold(Vec::<String>::new(), |mut paths, path| {
        // A comma inside brackets separates indexes.
        match paths.last_mut().filter(|last| last.rfind('[') > last.rfind(']')) {
            Some(last) => *last = format!("{last},{path}"),
            None => paths.push(path.to_owned()),
        }
        paths
    }) {
        let ways = path.strip_prefix('^').map_or_else(|| follow(part, &path), |path| follow(claim, path));
        let places = path.split_once('[').map_or(1, |_| {
            path.split('[')
                .skip(1)
                .map(|index| index.split(']').next().unwrap_or_default().split(',').count())
                .product()
        });
        if ways.len() != places {
            return Err(format!("the payload has {} of {path}", ways.len()));
        }
        if !names.is_empty() && !ways.iter().all(|way| names.iter().any(|name| is_named(way, name))) {
            return Err(format!("{path} is not {names:?}"));
        }
        values.extend(ways.iter().map(|way| written(way.last().unwrap())));
    }
    Ok(match (word, kind) {
        ("sum", _) | ("", Type::Money) => {
            values.iter().map(|text| Cents::read(text).unwrap()).sum::<Cents>().to_string()
        }
        ("lower", _) => values.concat().to_lowercase(),
        (_, Type::List) => values.join(","),
        _ => values.join(" "),
    })
}

/// A rule of a block: the name of a column, and where its cells come from.
fn rule(line: &str) -> (&str, &str) {
    let (name, rule) = line.trim().split_once(' ').unwrap();
    (name, rule.trim())
}

#[test]
fn every_cell_of_the_golden_claims_is_where_the_payload_has_it() {
    let Some(data) = shared("data") else { return };
    let (mut wrong, mut kinds, mut cells) = (Vec::new(), BTreeMap::new(), 0);
    for block in GOLDEN.iter().flat_map(|text| text.split("\n[").skip(1)) {
        let (file, rules) = block.split_once("]\n").unwrap();
        let text = fs::read_to_string(data.join(file)).unwrap();
        let (payload, claim) = (serde_json::from_str::<Value>(&text).unwrap(), Claim::read(&text).unwrap());
        *kinds.entry((file[..2].to_owned(), claim.kind.map(Kind::name))).or_insert(0) += 1;
        let mut check = |row: &str, name: &str, kind: Type, found: String, part: &Value, written: &str| {
            cells += 1;
            let (of, rule) = rule(written);
            assert_eq!(of, name, "{file}: the columns are other ones, or in another order");
            match expected(&payload, part, rule, kind) {
                Ok(text) if text == found => {}
                Ok(text) => {
                    wrong.push(format!("{file} {row} {name}: {found:?}, and the payload says {text:?} ({rule})"))
                }
                Err(why) => wrong.push(format!("{file} {row} {name}: {why}")),
            }
        };
        let mut rows = rules.split("\nline ");
        let header: Vec<&str> = rows.next().unwrap().lines().collect();
        assert_eq!(header.len(), CLAIMS.len(), "{file}");
        for (column, rule) in CLAIMS.iter().zip(header) {
            check("", column.name, column.kind, shown(&(column.of)(&claim)), &payload, rule);
        }
        for row in rows {
            let (number, rules) = row.split_once('\n').unwrap();
            let index: usize = number.parse().unwrap();
            let (part, line) = (&payload["item"][index], &claim.lines[index]);
            assert_eq!(rules.trim_end().lines().count(), LINES.len(), "{file} line {number}");
            for (column, rule) in LINES.iter().zip(rules.trim_end().lines()) {
                check(number, column.name, column.kind, shown(&(column.of)(&claim, line)), part, rule);
            }
        }
    }
    assert!(wrong.is_empty(), "{} cells of {cells}: {wrong:#?}", wrong.len());
    assert_eq!(kinds.len(), 24, "each type at each version: {kinds:?}");
    assert!(kinds.keys().all(|(_, kind)| kind.is_some()));
}

/// A test that cannot fail proves nothing.
#[test]
fn a_wrong_path_or_an_empty_cell_is_found() {
    let claim = serde_json::json!({"a": [{"amount": {"value": 1.5}, "category": {"coding": [{"code": "x/ONE"}]}}, {"amount": {"value": 2}}]});
    let of = |rule: &str| expected(&claim, &claim, rule, Type::Money);
    assert_eq!(of("a[0].amount.value @ ONE"), Ok("1.50".to_owned()));
    assert_eq!(of("sum a[0,1].amount.value"), Ok("3.50".to_owned()));
    assert_eq!(of("sum a[0].amount.value, a[1].amount.value"), Ok("3.50".to_owned()));
    for rule in ["a[0].amount.value @ TWO", "a[2].amount.value", "sum a[0,2].amount.value", "b"] {
        assert!(of(rule).is_err(), "{rule}");
    }
}

/// The recorded claims that do not count.
#[test]
fn fields_missing_from_the_recorded_claims_are_listed() {
    let Some(data) = shared("data") else { return };
    let mut found = Vec::new();
    let mut claims = 0;
    for api in ["v1", "v2", "v3"] {
        let mut files: Vec<_> = fs::read_dir(data.join(api)).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        for file in files {
            let value: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
            let bundled = value["entry"].as_array().into_iter().flatten().map(|entry| &entry["resource"]);
            for resource in bundled.chain([&value]).filter(|it| it["resourceType"] == "ExplanationOfBenefit") {
                claims += 1;
                let claim = Claim::read(&resource.to_string()).unwrap();
                if claim.disposition != Disposition::Final {
                    let name = file.file_stem().unwrap().to_str().unwrap();
                    found.push(format!("{api} {name} {}: {}", claim.id, claim.disposition.name()));
                }
            }
        }
    }
    assert!(claims > 120, "{claims}");
    let expected = [
        "v3 eob-dme-partial 3351266481401: partial",
        "v3 eob-outpatient-partial 1071939711297: partial",
        "v3 eob-pde-deleted 5213363418309: deleted",
        // Its kind of bill is C, CREDIT.
        "v3 eob-search-bundle -9923875310680: cancelled",
        "v3 eob-search-priorauth 00000000-0000-0000-0000-000000000000: prior_authorization",
    ];
    assert_eq!(found, expected);
}
