-- Indexes for the joins below, and views for the questions that people ask most. The sums include only claims whose
-- `standing` is final: none that was canceled, deleted or replaced, is a request in advance, or is still being processed.
create index lines_of_claim on lines ({enrollee}claim_id);
create index diagnoses_of_claim on diagnoses ({enrollee}claim_id);
create index diagnoses_by_code on diagnoses (code);
create index procedures_of_claim on procedures ({enrollee}claim_id);
create index care_team_of_claim on care_team ({enrollee}claim_id);
create index amounts_of_claim on amounts ({enrollee}claim_id, name);
create index claims_by_day on claims (service_start);

create view settled as
    select * from claims
    where standing = 'final';

create view left_out as
    select {enrollee}standing, count(*) as claims from claims where standing <> 'final' group by {first};

-- Every claim counts in exactly one row. A claim without a day or a type is under 'unknown'.
create view by_year as
    select {enrollee}coalesce(substr(service_start, 1, 4), 'unknown') as year, coalesce(claim_type, 'unknown') as claim_type,
        count(distinct settled.claim_id) as claims,
        sum(case when name = 'charged' then cents end) / 100.0 as charged,
        sum(case when name = 'medicare_paid' then cents end) / 100.0 as medicare_paid,
        sum(case when name = 'patient_pays' then cents end) / 100.0 as patient_pays,
        sum(case when name = 'patient_paid' then cents end) / 100.0 as patient_paid
    from settled left join amounts using ({enrollee}claim_id)
    group by {first two};

-- Who billed, or if that is not known, who treated. One row per NPI, with the alphabetically last of the names that
-- claims have for it (if no claim has a name, with the number). Without an NPI, one row per name.
create view by_provider as
    with who as (
        select {enrollee}claim_id, service_start, service_end, coalesce(provider, practitioner) as name,
            case when provider is not null then provider_npi
                when practitioner is not null then practitioner_npi
                else coalesce(provider_npi, practitioner_npi) end as npi
        from settled)
    select {enrollee}coalesce(max(who.name), 'NPI ' || who.npi, 'unknown') as provider, who.npi as npi,
        count(distinct who.claim_id) as claims,
        min(service_start) as first_day, max(service_end) as last_day,
        sum(case when amounts.name = 'medicare_paid' then cents end) / 100.0 as medicare_paid,
        sum(case when amounts.name = 'patient_pays' then cents end) / 100.0 as patient_pays,
        sum(case when amounts.name = 'patient_paid' then cents end) / 100.0 as patient_paid
    from who left join amounts using ({enrollee}claim_id)
    group by {enrollee}who.npi, case when who.npi is null then who.name end;

create view medicines as
    select {enrollee}service_start as filled, words, ndc, units, days_supply, settled.patient_pays, settled.claim_id
    from settled left join
        (select {enrollee}claim_id, max(words) as words, max(ndc) as ndc, max(units) as units from lines group by {first})
        using ({enrollee}claim_id)
    where claim_type = 'pde';

-- What Medicare did not approve, and why.
create view denied as
    select {enrollee}settled.service_start as day,
        coalesce(provider, practitioner, 'NPI ' || coalesce(provider_npi, practitioner_npi)) as provider, lines.code, lines.words,
        lines.charged, lines.denial_reason, lines.denial_words, settled.claim_id
    from lines join settled using ({enrollee}claim_id)
    where is_denied = 1;

-- ICD-9 and ICD-10 have some of the same codes, with different meanings: E or V and digits.
create view by_diagnosis as
    select {enrollee}code, max(words) as words, count(distinct claim_id) as claims,
        min(service_start) as first_day, max(service_end) as last_day
    from diagnoses join settled using ({enrollee}claim_id)
    group by {first}, coalesce(
        system like '%icd-9%' and upper(code) glob '[EV]*' and not substr(replace(code, '.', ''), 2) glob '*[^0-9]*', 0);
