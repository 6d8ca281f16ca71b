/// Values for routes by their names, looked up by the routes' numbers. While there are none, a question costs one
/// comparison.
struct RouteMap<Value: Sendable>: Sendable {
    private var byName: [String: Value] = [:]
    /// Of each route of the configuration; empty while there is nothing.
    private var byRoute: [Value?] = []
    private var names: [String]

    /// - Parameter names: of the configuration's routes, in their order. Routes may share a name.
    init(names: [String]) { self.names = names }

    var isEmpty: Bool { byRoute.isEmpty }

    subscript(name: String) -> Value? {
        get { byName[name] }
        set {
            byName[name] = newValue
            compile()
        }
    }

    subscript(route route: Int) -> Value? { route < byRoute.count ? byRoute[route] : nil }

    /// Other routes: what there is stays, by its name.
    mutating func adopt(names: [String]) {
        self.names = names
        compile()
    }

    private mutating func compile() { byRoute = byName.isEmpty ? [] : names.map { byName[$0] } }
}
