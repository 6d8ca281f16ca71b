import Testing
import Wire

@testable import Settings

/// About the addresses at which proxies ask, and who may.
@Suite struct `A mistake about forward-auth` {
    @Test(arguments: Self.mistakes) func `is reported with its place and how to mend it`(_ mistake: Mistake) {
        #expect(mistake.report() == mistake.says)
    }

    @Test func `is not made by two addresses, or by networks of proxies`() {
        let text = Self.document("{listen: [\"127.0.0.1:9090\", \"[::1]:9090\"], trusted: [10.0.0.0/8, \"::1\"]}")
        #expect(load(text).diagnostics.isEmpty)
        let configuration = load(text).configuration
        #expect(configuration?.forwardAuth.listeners.count == 2)
        #expect(configuration?.forwardAuth.trusted.map(\.description) == ["10.0.0.0/8", "::1"])
    }

    @Test func `is made by none: nobody asks, and nobody but this host may`() {
        let configuration = load(Self.document("{}")).configuration
        #expect(configuration?.forwardAuth.listeners.isEmpty == true)
        #expect(configuration?.forwardAuth.trusted.map(\.description) == ["127.0.0.0/8", "::1"])
    }

    private static func document(_ settings: String) -> String {
        """
        forward_auth: \(settings)
        upstreams: {api: {servers: ["127.0.0.1:9000"]}}
        routes: [{path: /, upstream: api, auth: none}]
        """
    }

    private static let mistakes: [Mistake] = [
        Mistake(
            "proxies without an address to ask at", document("{trusted: [10.0.0.5]}"),
            says: """
                gateway.conf:1:25: warning: there is no address at which these proxies could ask
                    forward_auth: {trusted: [10.0.0.5]}
                                            ^~~~~~~~~~
                    set "forward_auth.listen", for example to ["127.0.0.1:9090"]
                """),
        Mistake(
            "an address without proxies", document("{listen: [\"127.0.0.1:9090\"], trusted: []}"),
            says: """
                gateway.conf:1:53: error: nobody may ask at "forward_auth.listen"
                    forward_auth: {listen: ["127.0.0.1:9090"], trusted: []}
                                                                        ^~
                    name the addresses of your proxies
                """),
        Mistake(
            "everyone as a proxy", document("{listen: [\"127.0.0.1:9090\"], trusted: [0.0.0.0/0]}"),
            says: """
                gateway.conf:1:54: warning: everyone may ask, so everyone chooses the address that a request comes from
                    forward_auth: {listen: ["127.0.0.1:9090"], trusted: [0.0.0.0/0]}
                                                                         ^~~~~~~~~
                    name the addresses of your proxies
                """),
        Mistake(
            "the port of clients", document("{listen: [\"127.0.0.1:8080\"]}"),
            says: """
                gateway.conf:1:25: error: the port 8080 is for clients or operators already
                    forward_auth: {listen: ["127.0.0.1:8080"]}
                                            ^~~~~~~~~~~~~~~~
                    give "forward_auth.listen" another port
                """),
        Mistake(
            "the port of operators", document("{listen: [\"127.0.0.1:9901\"]}"),
            says: """
                gateway.conf:1:25: error: the port 9901 is for clients or operators already
                    forward_auth: {listen: ["127.0.0.1:9901"]}
                                            ^~~~~~~~~~~~~~~~
                    give "forward_auth.listen" another port
                """),
        Mistake(
            "one port twice", document("{listen: [\"127.0.0.1:9090\", \"0.0.0.0:9090\"]}"),
            says: """
                gateway.conf:1:43: error: the port 9090 of one address stands twice
                    forward_auth: {listen: ["127.0.0.1:9090", "0.0.0.0:9090"]}
                                                              ^~~~~~~~~~~~~~
                    remove one
                """),
    ]
}
