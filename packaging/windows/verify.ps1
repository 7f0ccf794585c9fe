<#
.SYNOPSIS
Checks on a real Windows what tests under Wine cannot show. Run as administrator, in a virtual machine.

.DESCRIPTION
Starts the agent on a named pipe of its own, asks it, and compares with what Windows itself says. Nothing is changed but
a user account "inguestverify", which is removed again. -Freeze freezes all volumes for two seconds.

.EXAMPLE
powershell -ExecutionPolicy Bypass -File verify.ps1 -Executable .\inguest-windows-x64.exe -Freeze
#>
param(
    [Parameter(Mandatory = $true)][string]$Executable,
    [switch]$Freeze
)

$ErrorActionPreference = 'Stop'
$script:failed = 0
$pipeName = "inguest-verify-$PID"
$state = Join-Path $env:TEMP "inguest-verify-$PID"

function Check([string]$Name, [scriptblock]$Test) {
    try {
        $result = & $Test
        if ($result -eq $true) { Write-Host "PASS  $Name" -ForegroundColor Green; return }
        $reason = "$result"
    } catch { $reason = $_.Exception.Message }
    $script:failed++
    Write-Host "FAIL  $Name - $reason" -ForegroundColor Red
}

function Expect($Wanted, $Found) {
    if ("$Wanted" -eq "$Found") { return $true }
    "expected '$Wanted', got '$Found'"
}

function Ask([string]$Command, $Arguments = $null) {
    $request = @{ execute = $Command }
    if ($null -ne $Arguments) { $request.arguments = $Arguments }
    $script:writer.WriteLine((ConvertTo-Json $request -Compress -Depth 8))
    $script:writer.Flush()
    $reply = $script:reader.ReadLine() | ConvertFrom-Json
    if ($reply.error) { throw $reply.error.desc }
    # A list must stay one, however short.
    , $reply.return
}

function Base64([string]$Text) { [Convert]::ToBase64String([Text.Encoding]::UTF8.GetBytes($Text)) }

if (-not ([Security.Principal.WindowsPrincipal][Security.Principal.WindowsIdentity]::GetCurrent()).IsInRole('Administrators')) {
    throw 'Run this as administrator.'
}

$agent = Start-Process -FilePath $Executable -PassThru -WindowStyle Hidden -ArgumentList @(
    '-m', 'unix-listen', '-p', "\\.\pipe\$pipeName", '-t', "`"$state`"")
try {
    $pipe = New-Object IO.Pipes.NamedPipeClientStream('.', $pipeName, 'InOut')
    $pipe.Connect(15000)
    $utf8 = New-Object Text.UTF8Encoding($false)
    $script:reader = New-Object IO.StreamReader($pipe, $utf8)
    $script:writer = New-Object IO.StreamWriter($pipe, $utf8)

    $os = Get-CimInstance Win32_OperatingSystem
    $computer = Get-CimInstance Win32_ComputerSystem

    Check 'ping' { $null -ne (Ask 'guest-ping') }
    Check 'host name' { Expect $env:COMPUTERNAME (Ask 'guest-get-host-name').'host-name' }
    Check 'build number' { Expect $os.BuildNumber (Ask 'guest-get-osinfo').'kernel-release' }
    Check 'client or server' {
        Expect $(if ($os.ProductType -eq 1) { 'client' } else { 'server' }) (Ask 'guest-get-osinfo').variant
    }
    Check 'time zone' { Expect ([TimeZoneInfo]::Local.GetUtcOffset([DateTime]::Now).TotalSeconds) (Ask 'guest-get-timezone').offset }
    Check 'processors' { Expect $computer.NumberOfLogicalProcessors (Ask 'guest-get-vcpus').Count }
    Check 'users' {
        $names = (Ask 'guest-get-users') | ForEach-Object { $_.user }
        if ($names -contains $env:USERNAME) { $true } else { "$env:USERNAME is not among: $names" }
    }
    Check 'hardware addresses' {
        $found = (Ask 'guest-network-get-interfaces') | ForEach-Object { $_.'hardware-address' }
        $missing = Get-NetAdapter | Where-Object Status -eq 'Up' |
            ForEach-Object { $_.MacAddress.Replace('-', ':').ToLower() } | Where-Object { $found -notcontains $_ }
        if ($missing) { "missing: $missing" } else { $true }
    }
    Check 'routes' {
        $wanted = (Get-NetRoute | Measure-Object).Count
        Expect $wanted (Ask 'guest-network-get-route').Count
    }
    Check 'disks: number, bus, serial, PCI' {
        foreach ($disk in Get-Disk) {
            $ours = (Ask 'guest-get-disks') | Where-Object name -eq "\\.\PhysicalDrive$($disk.Number)"
            if (-not $ours) { return "disk $($disk.Number) is missing" }
            if (-not $ours.address) { return "disk $($disk.Number) has no address" }
            if ($disk.SerialNumber -and $ours.address.serial -and $ours.address.serial.Trim() -ne $disk.SerialNumber.Trim()) {
                return "serial '$($ours.address.serial)', expected '$($disk.SerialNumber)'"
            }
            Write-Host ("      disk {0}: {1} {2}, ours {3} pci {4}" -f $disk.Number, $disk.BusType, $disk.Location,
                $ours.address.'bus-type', (ConvertTo-Json $ours.address.'pci-controller' -Compress))
        }
        $true
    }
    Check 'filesystems: size and disk' {
        $drive = (Ask 'guest-get-fsinfo') | Where-Object mountpoint -eq "$env:SystemDrive\"
        if (-not $drive.disk) { return 'the system drive lies on no disk' }
        Expect (Get-Volume -DriveLetter $env:SystemDrive[0]).Size $drive.'total-bytes'
    }
    Check 'virtual devices' {
        $wanted = (Get-PnpDevice -PresentOnly | Where-Object InstanceId -match '^PCI\\VEN_(1AF4|1B36)' | Measure-Object).Count
        $found = (Ask 'guest-get-devices').Count
        if ($found -gt 0 -or $wanted -eq 0) { $true } else { "none of $wanted" }
    }
    Check 'program with output' {
        $started = Ask 'guest-exec' @{ path = 'cmd.exe'; arg = @('/c', 'echo hi'); 'capture-output' = $true }
        do { Start-Sleep -Milliseconds 100; $status = Ask 'guest-exec-status' @{ pid = $started.pid } } until ($status.exited)
        Expect 'hi' ([Text.Encoding]::UTF8.GetString([Convert]::FromBase64String($status.'out-data'))).Trim()
    }
    Check 'time can be set' {
        $now = [DateTimeOffset]::UtcNow.ToUnixTimeMilliseconds() * 1000000
        $null -ne (Ask 'guest-set-time' @{ time = $now })
    }
    Check 'password can be set' {
        $first = ConvertTo-SecureString "Aa1!$([Guid]::NewGuid())" -AsPlainText -Force
        New-LocalUser -Name 'inguestverify' -Password $first | Out-Null
        try {
            $secret = "Bb2!$([Guid]::NewGuid())"
            Ask 'guest-set-user-password' @{ username = 'inguestverify'; password = (Base64 $secret); crypted = $false } | Out-Null
            Add-Type -AssemblyName System.DirectoryServices.AccountManagement
            $context = New-Object DirectoryServices.AccountManagement.PrincipalContext('Machine')
            Expect $true $context.ValidateCredentials('inguestverify', $secret)
        } finally { Remove-LocalUser -Name 'inguestverify' }
    }
    Check 'trim' {
        $errors = (Ask 'guest-fstrim').paths | Where-Object error
        if ($errors) { "$($errors.path): $($errors.error)" } else { $true }
    }
    Check 'state directory is closed to users' {
        $open = (Get-Acl $state).Access | Where-Object { $_.IdentityReference -notmatch 'SYSTEM|Administrators|S-1-5-18|S-1-5-32-544' }
        if ($open) { "open to $($open.IdentityReference)" } else { $true }
    }
    Check 'idle: no processor time in 10 seconds' {
        $before = (Get-Process -Id $agent.Id).TotalProcessorTime
        Start-Sleep -Seconds 10
        $used = ((Get-Process -Id $agent.Id).TotalProcessorTime - $before).TotalMilliseconds
        if ($used -lt 20) { $true } else { "$used ms" }
    }
    if ($Freeze) {
        Check 'freeze, hold 2 seconds, thaw' {
            $count = Ask 'guest-fsfreeze-freeze'
            try {
                Start-Sleep -Seconds 2
                $status = Ask 'guest-fsfreeze-status'
            } finally { $thawed = Ask 'guest-fsfreeze-thaw' }
            if ($status -ne 'frozen') { return "status was $status" }
            Expect $count $thawed
        }
        Check 'a freeze of 15 seconds is reported as lost' {
            Ask 'guest-fsfreeze-freeze' | Out-Null
            Start-Sleep -Seconds 15
            try { Ask 'guest-fsfreeze-thaw' | Out-Null; 'the thaw reported success' }
            catch { if ($_.Exception.Message -match 'hold writes') { $true } else { $_.Exception.Message } }
        }
        Check 'no shadow copy is left behind' {
            Expect 0 (Get-CimInstance Win32_ShadowCopy | Where-Object InstallDate -gt (Get-Date).AddMinutes(-2) | Measure-Object).Count
        }
    }
} finally {
    if ($pipe) { $pipe.Dispose() }
    Stop-Process -Id $agent.Id -Force -ErrorAction SilentlyContinue
    Remove-Item $state -Recurse -Force -ErrorAction SilentlyContinue
}

Check 'the service comes, runs and goes' {
    & $Executable -s install --retry-path | Out-Null
    try {
        Start-Service inguest
        $running = (Get-Service inguest).Status
        $actions = (& sc.exe qfailure inguest) -join ' '
        Stop-Service inguest
        $stopped = (Get-Service inguest).Status
    } finally { & $Executable -s uninstall | Out-Null }
    if ("$running $stopped" -ne 'Running Stopped') { return "$running, then $stopped" }
    if ($actions -match 'RESTART') { $true } else { 'no recovery actions' }
}

Write-Host @'

By hand, with a host:
  1. Host absent: stop whatever is attached to the channel. The agent must use no processor time.
  2. Host gone in the middle of a guest-file-read: the next host gets no part of the old answer.
  3. Disable and enable the VirtIO serial driver with --retry-path: the agent answers again.
  4. guest-shutdown with mode powerdown, reboot, halt; guest-suspend-ram and guest-suspend-disk.
  5. A second agent with the same -m unix-listen -p \\.\pipe\NAME must end with an error.
  6. oVirt: lock, log off; the host is told of log-on and log-off.
'@
if ($script:failed -gt 0) { Write-Host "$script:failed checks failed" -ForegroundColor Red; exit 1 }
Write-Host 'all checks passed' -ForegroundColor Green
