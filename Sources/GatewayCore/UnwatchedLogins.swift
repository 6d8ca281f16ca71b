/// Looks for logins that nobody counts: an open route, not one of `login.endpoints`, whose backend answers 401 again and again
/// to requests that are no mere reading. Whoever forgot to name the endpoint learns it from the log, and not from an attack.
struct UnwatchedLogins {
    /// So many such answers of a route are no accident.
    static let enough = 5

    /// By the place of the route.
    private var refused: [Int: Int] = [:]

    /// True: it is time to tell, which it is once.
    mutating func refused(at route: Int) -> Bool {
        refused[route, default: 0] += 1
        return refused[route] == UnwatchedLogins.enough
    }
}
