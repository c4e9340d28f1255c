//! The memory that this process takes.

/// Resident memory of this process, in bytes; `None` where the system does not tell, as only Linux does. The kernel
/// makes the file as it is read, so no disk is waited for.
pub fn resident_bytes() -> Option<u64> {
    resident_in(&std::fs::read_to_string("/proc/self/status").ok()?)
}

/// The line `VmRSS:  1234 kB` of proc(5).
fn resident_in(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_word_on_memory_is_understood() {
        let status = "Name:\tdaemon\nVmHWM:\t    9000 kB\nVmRSS:\t    8192 kB\nThreads:\t4\n";
        assert_eq!(resident_in(status), Some(8_388_608));
        assert_eq!(resident_in("Name:\tdaemon\n"), None);
        assert_eq!(resident_in("VmRSS:\t many kB\n"), None);
    }
}
