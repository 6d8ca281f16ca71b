internal import Glibc

/// The signals that a running gateway is told something with. Each ends a process that does not handle it, and a supervisor
/// may send one before the gateway has got as far: until then they wait.
package enum EarlySignals {
    /// For the main thread, while it is the only one: those that follow have them blocked too.
    package static func hold() { change(SIG_BLOCK) }

    /// Whatever came meanwhile comes now, once of each kind.
    static func release() { change(SIG_UNBLOCK) }

    private static func change(_ how: Int32) {
        var signals = sigset_t()
        sigemptyset(&signals)
        for signal in [SIGHUP, SIGUSR1, SIGUSR2] { sigaddset(&signals, signal) }
        pthread_sigmask(how, &signals, nil)
    }
}
