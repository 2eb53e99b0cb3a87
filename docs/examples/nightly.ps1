# nightly.ps1 DIR [PROFILE]: fetches claims into DIR. It prints something only if a person has to act.
#
# PROFILE is BBDL_PROFILE or "default" if you do not pass it. The script remembers what it reported, separately for
# each profile and archive.
#
#   75 (try again later)    tries NIGHTLY_TRIES times in all, NIGHTLY_PAUSE seconds apart; reports it after
#                           NIGHTLY_PATIENCE such nights in a row
#   77 (a person must act)  reports it once, until a fetch has worked again
#   anything else           reports it every time, and does not try again
#
# Reports go to standard output. The exit code is bbdl's. For Windows PowerShell 5.1 and newer.
param(
    [Parameter(Mandatory = $true)][string]$Dir,
    [string]$ProfileName
)
Set-StrictMode -Version 2
# If bbdl writes to standard error, this script has not failed.
$ErrorActionPreference = 'Continue'

function Get-Setting([string]$Name, [string]$Default) {
    $value = [Environment]::GetEnvironmentVariable($Name)
    if ([string]::IsNullOrEmpty($value)) { $Default } else { $value }
}

if (-not $ProfileName) { $ProfileName = Get-Setting 'BBDL_PROFILE' 'default' }
$env:BBDL_PROFILE = $ProfileName
# The same for each way of writing the archive's path.
$place = $ExecutionContext.SessionState.Path.GetUnresolvedProviderPathFromPSPath($Dir).TrimEnd('\', '/').ToLowerInvariant()
$sha256 = [Security.Cryptography.SHA256]::Create()
$hash = $sha256.ComputeHash([Text.Encoding]::UTF8.GetBytes("$ProfileName`n$place"))
$key = -join ($hash[0..7] | ForEach-Object { $_.ToString('x2') })
$base = Get-Setting 'BBDL_HOME' (Join-Path ([Environment]::GetFolderPath('LocalApplicationData')) 'bbdl')
$state = Join-Path (Get-Setting 'NIGHTLY_STATE' (Join-Path $base 'nightly')) "$ProfileName-$key"
$tries = [int](Get-Setting 'NIGHTLY_TRIES' '3')
$pause = [int](Get-Setting 'NIGHTLY_PAUSE' '1800')
$patience = [int](Get-Setting 'NIGHTLY_PATIENCE' '7')

$later = Join-Path $state 'later'
$told = Join-Path $state 'told'
try { $null = New-Item -ItemType Directory -Force -Path $state -ErrorAction Stop } catch { "$_"; exit 74 }

# bbdl writes UTF-8, whatever the console is set to.
try { [Console]::OutputEncoding = New-Object Text.UTF8Encoding $false } catch { Write-Verbose 'no console' }
while ($true) {
    # The exit code that shells give for a program that is not found.
    $global:LASTEXITCODE = 127
    try { $said = @(& bbdl fetch all --out $Dir -q --no-input 2>&1 | ForEach-Object { "$_" }) } catch { $said = @("$_") }
    $code = $global:LASTEXITCODE
    $tries--
    if ($code -ne 75 -or $tries -le 0) { break }
    Start-Sleep -Seconds $pause
}

switch ($code) {
    0 {
        Remove-Item -Force -ErrorAction SilentlyContinue -LiteralPath $later, $told
        # Also on a good night, bbdl warns in the last two weeks of the consent.
        $said
    }
    75 {
        Add-Content -LiteralPath $later -Value 'a night'
        $nights = @(Get-Content -LiteralPath $later).Count
        if ($nights -ge $patience) { "for $nights nights now:"; $said }
    }
    77 {
        # The server answered, so the count of nights without an answer starts again.
        Remove-Item -Force -ErrorAction SilentlyContinue -LiteralPath $later
        if (-not (Test-Path -LiteralPath $told)) {
            $null = New-Item -ItemType File -Path $told
            $said
        }
    }
    default {
        Remove-Item -Force -ErrorAction SilentlyContinue -LiteralPath $later
        $said
    }
}
exit $code
