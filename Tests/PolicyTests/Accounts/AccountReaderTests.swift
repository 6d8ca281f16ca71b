import Testing

@testable import Policy

@Suite struct `The account of a login` {
    private static let reader = AccountReader(["username", "user.email"])

    private func found(_ body: [UInt8], query: String = "") -> AccountReader.Found {
        Self.reader.read(query: Array(query.utf8), body: body)
    }

    private func found(_ body: String, query: String = "") -> AccountReader.Found {
        found(Array(body.utf8), query: query)
    }

    @Test(arguments: [
        #"{"username":"alice","password":"x"}"#,
        " \r\n\t{ \"password\" : \"x\" , \"username\" : \"alice\" } ",
        #"{"user\u006eame":"\u0061lice"}"#,
        #"{"a":{"username":"bob"},"username":"alice"}"#,
        #"{"user":{"name":"bob","email":"alice"}}"#,
        #"{"user":[{"email":"alice"}]}"#,
        #"{"username":["alice"]}"#,
        #"[{"username":"alice"}]"#,
        #"{"x":"\"username\":\"bob\"","username":"alice"}"#,
        #"{"x":[1,{"username":"bob"},"username"],"username":"alice"}"#,
        #"{"username":"alice","username":"ALICE "}"#,
        #"{"username":"alice","user":{"email":"alice"}}"#,
        "username=alice&password=x",
        "password=x&user%6eame=%61lice",
        "user.email=alice",
        "user[email]=alice", "a=b&+username%00x=alice",
        "user%5Bemail%5D=alice&password=username%3Dbob",
    ])
    func `is found as a backend would find it`(_ body: String) {
        #expect(found(body) == .name("alice"))
    }

    /// What strict readers refuse, lenient ones take; what the rule does not see, a guesser would write.
    @Test(arguments: [
        #"{"username":"alice","#, #"{"username":"alice",,}"#, #"{'username':'alice'}"#, #"{username:"alice"}"#,
        #"{"username"/* : */:"alice"}"#, #"{"username"/*/ x */:"alice"}"#,
        "{\"username\"\u{c}:\u{a0}\"alice\"}",
        "// {\n{\"username\": // bob\n\"alice\"}", #"{"USERNAME":"alice"}"#,
        "{\"u\u{17f}ername\":\"alice\"}", "\u{feff}{\"username\":\"alice\"}", #"{"username":"alice"} trailing"#,
        #"{"username":"al\ice"}"#, "{\"username\":\"al\u{0}ice\"}", #"{"x":1e999,"y":nul,"username":"alice"}"#,
    ])
    func `is found where the text is broken`(_ body: String) {
        #expect(found(body) == .name("alice"))
    }

    @Test(arguments: [
        #"{"username":"alice","username":"bob"}"#, #"{"username":"bob","x":{"username":"c"},"username":"alice"}"#,
        #"{"username":"alice","user":{"email":"bob"}}"#, #"{"username":["alice","bob"]}"#,
        "username=alice&username=bob",
        "username=alice&user.email=bob", "username=alice;username=bob", #"{"username":"alice","x":"&username=bob"}"#,
        #"{"username":"alice","Username":"bob"}"#,
    ])
    func `is ambiguous where two are named`(_ body: String) {
        #expect(found(body) == .several)
    }

    @Test func `is ambiguous however far the second one is`() {
        let decoys = Array(repeating: #""username":"alice","#, count: 1_000).joined()
        #expect(found("{\(decoys)\"username\":\"bob\"}") == .several)
        #expect(found("{\(decoys)\"x\":1}") == .name("alice"))
    }

    @Test(arguments: [
        "", "{}", "[]", #"{"username":""}"#, #"{"username":" \t "}"#, #"{"username":null}"#, #"{"username":true}"#,
        #"{"username":{"username":"alice"}}"#, #"{"x":{"username":"alice"}}"#, "username", "username=&x=alice",
        #""username""#, #"{"usernames":"alice"}"#, #"{"email":"alice"}"#,
    ])
    func `is not found where none is named`(_ body: String) {
        #expect(found(body) == .nothing)
    }

    /// PHP makes a `_` of these, and qs an array of those.
    @Test func `is found by a name that the backend writes anew`() {
        let reader = AccountReader(["user_name", "user.email"])
        let found = { (text: String) in reader.read(query: [], body: Array(text.utf8)) }
        for name in [
            "user.name", "user name", "user+name", "user[name", "user%20name", "user_name[]", "user_name[0][]",
        ] {
            #expect(found("\(name)=alice") == .name("alice"), "\(name)")
        }
        #expect(found("user_name=alice&user.name=bob") == .several)
        #expect(found("user[email][]=alice") == .name("alice") && found("user_email=alice") == .name("alice"))
        for name in ["user_name[x]", "user]name", "username", "user_name[1]x"] {
            #expect(found("\(name)=alice") == .nothing, "\(name)")
        }
    }

    @Test func `is ambiguous where only some readers undo an escape`() {
        #expect(found("%u0075sername=alice") == .several)
        #expect(found("username=%U0061lice") == .several)
        #expect(found("username=alice&password=%u0061") == .name("alice"))
        #expect(found("username=a%u00zz") == .name("a%u00zz"))
    }

    /// PHP takes single quotation marks, and Werkzeug puts `name*0` and `name*1` together.
    @Test func `is found in parts whose names few write so`() {
        let body = { (name: String) in
            "--x\r\nContent-Disposition: form-data; \(name)\r\n\r\nalice\r\n--x--\r\n"
        }
        #expect(found(body("name='username'")) == .name("alice"))
        #expect(found(body("name='x\"; name=\"username\"'")) == .name("alice"))
        #expect(found(body("name*0=\"user\"; name*1=\"name\"")) == .several)
        #expect(found(body("name*0*=utf-8''user; name*1=name")) == .several)
    }

    @Test func `may be a number`() {
        #expect(found(#"{"username":12345}"#) == .name("12345"))
        #expect(found(#"{"username":"12345"}"#) == .name("12345"))
    }

    /// Backends compare numbers by their values.
    @Test(arguments: [
        "12345.0", "1234500e-2", "12345E0", "012345", "-0", "0x3039", "+12345", ".5", "-", "12_345", "1234567890123456",
    ])
    func `is ambiguous where it is a number in another spelling`(_ number: String) {
        #expect(found("{\"username\":\(number)}") == .several)
        #expect(found("{\"x\":\(number),\"username\":\"alice\"}") == .name("alice"))
    }

    @Test(arguments: ["0", "7", "-7", "123456789012345"])
    func `is found where it is a number in its only spelling`(_ number: String) {
        #expect(found("{\"username\":\(number)}") == .name(number))
    }

    @Test func `may stand in the query, and must be the same there`() {
        #expect(found("", query: "username=alice") == .name("alice"))
        #expect(found(#"{"username":"alice"}"#, query: "a=b&username=alice") == .name("alice"))
        #expect(found(#"{"username":"alice"}"#, query: "username=bob") == .several)
    }

    @Test func `is found in every part of a multipart body`() {
        let body = { (head: String, value: String) in
            "--x\r\nContent-Disposition: form-data; name=\"password\"\r\n\r\nusername=?\r\n"
                + "--x\r\n\(head)\r\n\r\n\(value)\r\n--x--\r\n"
        }
        let head = "Content-Disposition: form-data; name=\"username\""
        #expect(found(body(head, "alice")) == .name("alice"))
        #expect(found(body("content-disposition: form-data; Name=username", "alice")) == .name("alice"))
        #expect(found(body(head + "\r\nContent-Type: text/plain", "alice")) == .name("alice"))
        #expect(found(body(head, "alice") + body(head, "bob")) == .several)
        // Some readers decode it, others take it as it is.
        #expect(found(body(head + "\r\nContent-Transfer-Encoding: base64", "YWxpY2U=")) == .several)
        #expect(found(body("Content-Disposition: form-data; name*=utf-8''username", "alice")) == .several)
        for spelling in ["name = \"username\"", "NAME=\t\"user\\name\"", "filename=\"x\"; name=username"] {
            let body = body("Content-Disposition: form-data; \(spelling)", "alice")
            #expect(found(body) == .name("alice"), "\(spelling)")
        }
        #expect(found(body(head, "--alice")) == .name("--alice"))
        #expect(found(body(head, "al\r--ice")) == .several)
    }

    @Test func `is found in UTF-16 and UTF-32`() {
        let text = #"{"username":"ali©e"}"#
        let little = text.utf16.flatMap { [UInt8($0 & 255), UInt8($0 >> 8)] }
        let big = text.utf16.flatMap { [UInt8($0 >> 8), UInt8($0 & 255)] }
        let wide = text.unicodeScalars.flatMap { [0, 0, UInt8($0.value >> 8), UInt8($0.value & 255)] }
        for body in [little, big, [0xff, 0xfe] + little, [0xfe, 0xff] + big, wide, [0, 0, 0xfe, 0xff] + wide] {
            #expect(found(body) == .name("ali©e"))
        }
    }

    @Test func `is found in a form with zeros in it`() {
        #expect(found("\u{0}&username=alice") == .name("alice"))
        #expect(found("a\u{0}&username=alice") == .name("alice"))
    }

    @Test func `is found below any number of brackets`() {
        let deep = String(repeating: "[{\"a\":", count: 10_000) + "1" + String(repeating: "}]", count: 10_000)
        #expect(found("{\"x\":\(deep),\"username\":\"alice\"}") == .name("alice"))
        #expect(found(String(repeating: "}", count: 1_000) + "{\"username\":\"alice\"}") == .nothing)
    }

    @Test func `is read from whatever bytes there are`() {
        var generator = SystemRandomNumberGenerator()
        let alphabet = Array("{}[]\"':,\\u0user.namil=&;%-\r\n\0".utf8) + [0xff, 0xc3]
        for _ in 0..<2_000 {
            let body = (0..<Int.random(in: 0...60, using: &generator)).map { _ in alphabet.randomElement()! }
            _ = found(body)
        }
    }
}

/// The longest bodies that are read, made to cost much: what is counted is bytes that are looked at.
@Suite struct `Reading a body of many parts` {
    private static let reader = AccountReader(["username"])
    private static let longest = 64 << 10

    /// A piece that is repeated, and what stands behind it.
    @Test(arguments: [
        ("name=username ", "\nname*=x\n\n"), ("name=username ", "\n\nalice"), ("name=username\n\n", ""),
        ("name=username\n\n--", ""), ("name=username", "\r"), ("name=\\username ", "\n\n"), ("name=\"", "\n\n"),
        ("name=", "\n\n"), ("name  ", "\n\n"), ("name*", "=x\n\n"), ("name=\r\n ", "\n\n"), ("\r\n ", "\n\n"),
        ("\n", ""), ("\r", ""), ("\n--", ""), ("quoted-printabl", ""), ("base6", "\n\n"), ("charset=utf-8 ", "\n\n"),
        ("charset;", "\n\n"), ("charset", "\n\n"),
    ])
    func `looks at each byte a few times`(_ piece: String, _ rest: String) {
        for rest in [rest, rest + String(repeating: "x", count: Self.longest / 2)] {
            let pieces = String(repeating: piece, count: (Self.longest - rest.utf8.count) / piece.utf8.count)
            for text in [pieces + rest, "\u{feff}" + pieces + rest] {
                let body = Array(text.utf8)
                var parts = AccountParts(body, of: Self.reader)
                _ = parts.read()
                let isFew = parts.work <= 5 * Self.longest && parts.work <= AccountReader.mostWork(of: body.count)
                #expect(isFew, "\(parts.work) for \(body.count)")
            }
        }
    }

    @Test func `gives up where there are too many, or one is too long`() {
        let part = "--x\r\nContent-Disposition: form-data; name=\"username\"\r\n\r\nalice\r\n"
        let found = { (text: String) in Self.reader.read(query: [], body: Array(text.utf8)) }
        #expect(found(String(repeating: part, count: 16)) == .name("alice"))
        #expect(found(String(repeating: part, count: 17)) == .several)
        #expect(found("username=" + String(repeating: "a", count: 1_024)) != .several)
        #expect(found("username=" + String(repeating: "a", count: 1_025)) == .several)
        #expect(found("--x\r\nX: y; name=username\r\n\r\n" + String(repeating: "a", count: 1_025)) == .several)
    }

    @Test func `makes names alike of a few spellings, and of no more`() {
        let spelling = { (count: Int) in "username=alice" + String(repeating: " ", count: count) + "&" }
        let found = { (counts: Range<Int>) in
            Self.reader.read(query: [], body: Array(counts.map(spelling).joined().utf8))
        }
        #expect(found(0..<50) == .name("alice"))
        #expect(found(0..<200) == .several)
    }

    /// To some a carriage return ends a line, and a boundary is none in a head.
    @Test func `is not led astray by lines that only some see`() {
        let head = "Content-Disposition: form-data; name=\"username\""
        let found = { (text: String) in Self.reader.read(query: [], body: Array(text.utf8)) }
        #expect(found("--x\r\(head)\r\ralice\r--x--\r") == .several)
        #expect(found("--x\r\n\(head)\r\rX: y\r\n\r\nalice\r\n--x--") == .several)
        #expect(found("--x\r\nX: base64\r\n--y\r\n\(head)\r\n\r\nalice\r\n--x--") == .several)
        #expect(found("--x\r\n\(head)\r\n--y\r\n\r\nalice\r\n--x--") == .name("alice"))
        #expect(found("--x\r\nX: y\r\n\r\nbase64\r\n--x\r\n\(head)\r\n\r\nalice\r\n--x--") == .name("alice"))
        #expect(found("--x\r\nX: y;\r\n name=\r\n username\r\n\r\nalice\r\n--x--") == .name("alice"))
        #expect(found("--x\r\nX: y; name=\"=?utf-8?Q?username?=\"\r\n\r\nalice\r\n--x--") == .several)
    }
}

@Suite struct `The encoding of a login` {
    @Test(arguments: [
        "application/json", "application/json; charset=utf-8", "application/json;charset=\"UTF-8\"",
        "application/x-www-form-urlencoded; charset=iso-8859-1", "text/plain ; charset = us-ascii", "",
        "application/json; charset=utf-16LE", "multipart/form-data; boundary=x; charset=windows-1252", "x; charset=",
    ])
    func `is read`(_ type: String) {
        #expect(AccountEncoding.isRead(Array(type.utf8)))
    }

    @Test(arguments: [
        "application/json; charset=utf-7", "application/json; charset=ibm037", "application/json; charset='utf-7'",
        "application/json; charset=utf-8; charset=utf-7", "application/json; Charset*=utf-8''utf-7",
        "application/json; charset*0=utf;charset*1=-7", "application/json; charset=\"\\utf-7\"",
        "application/x-www-form-urlencoded; charset=utf-16", "a/b; charset= utf-7", "a/b; charset=utf-8x",
    ])
    func `is not known`(_ type: String) {
        #expect(!AccountEncoding.isRead(Array(type.utf8)))
    }

    @Test func `is none, or it cannot be read`() {
        for value in ["", "identity", "Identity, identity"] { #expect(AccountEncoding.isPlain(Array(value.utf8))) }
        for value in ["gzip", "identity, gzip", "x"] { #expect(!AccountEncoding.isPlain(Array(value.utf8))) }
    }

    @Test func `is asked of each part, too`() {
        let found = { (charset: String) in
            AccountReader(["username"]).read(
                query: [],
                body: Array(
                    ("--x\r\nContent-Disposition: form-data; name=username\r\nContent-Type: text/plain; charset=\(charset)"
                        + "\r\n\r\nalice\r\n--x--").utf8))
        }
        #expect(found("utf-8") == .name("alice") && found("\"UTF-8\"; a=b") == .name("alice"))
        #expect(found("utf-7") == .several && found("ibm037") == .several)
        #expect(found(String(repeating: " ", count: 40) + "utf-7") == .several)
    }
}

@Suite struct `The name of an account` {
    @Test(arguments: ["alice", "Alice", "ALICE", " alice\t", "al\u{200b}ice", "ａlice", "al\u{ad}ice", "\u{feff}alice"])
    func `is the same in every spelling that a backend may overlook`(_ spelling: String) {
        #expect(AccountName.normalised(Array(spelling.utf8)) == "alice")
    }

    @Test func `keeps what tells accounts apart`() {
        #expect(AccountName.normalised(Array("Élise O'Neill".utf8)) == "elise o'neill")
        #expect(AccountName.normalised(Array("al.ice+x@Example.ORG".utf8)) == "al.ice+x@example.org")
    }

    @Test func `overlooks bytes that are no text`() {
        #expect(AccountName.normalised([0x61, 0xff, 0x62]) == "ab")
        #expect(AccountName.normalised([0xff, 0xc0]) == nil)
        #expect(AccountName.normalised([]) == nil)
    }

    /// By NFKC, by folding of case, or by a collation without accents.
    @Test(arguments: [
        ("àlice", "alice"), ("a\u{300}lice", "alice"), ("Ａlice", "alice"), ("\u{1d41a}lice", "alice"),
        ("\u{1d4d0}l\u{2460}ce", "al1ce"), ("ⓐlice", "alice"), ("ᵃlice", "alice"), ("alⁱce", "alice"),
        ("ªlice", "alice"),
        ("ﬁn", "fin"), ("ﬆop", "stop"), ("ſam", "sam"), ("alıce", "alice"), ("ALİCE", "alice"), ("straße", "strasse"),
        ("STRAẞE", "strasse"), ("æsop", "aesop"), ("øre", "ore"), ("łódź", "lodz"), ("ångström", "angstrom"),
        ("\u{212b}", "a"), ("\u{212a}im", "kim"), ("ℓℯℎ", "leh"), ("user²", "user2"), ("user\u{1d7d9}", "user1"),
        ("a\u{a0}b", "a b"), ("\u{3000}alice", "alice"), ("⑩", "10"), ("⒜", "(a)"), ("⒈", "1."), ("ǆ", "dz"),
        ("Ёлкин", "елкин"), ("е\u{308}лкин", "елкин"), ("йод", "иод"), ("Σίσυφος", "σισυφοσ"), ("ᾷ", "α"), ("ệ", "e"),
        ("ʰ", "h"), ("ₐ", "a"), ("🅐", "a"),
    ])
    func `is the same for letters that backends take for one`(_ spelling: String, _ name: String) {
        #expect(AccountName.normalised(Array(spelling.utf8)).map { Array($0.utf8) } == Array(name.utf8))
    }

    @Test(arguments: [
        "Ⅳ", "㎏", "ﾊﾅ", "か\u{3099}", "\u{1100}\u{1161}", "½", "\u{1d6c2}", "™", "\u{627}\u{653}", "\u{fa19}",
    ])
    func `is none where nobody knows what a backend makes of it`(_ spelling: String) {
        let reader = AccountReader(["username"])
        #expect(reader.read(query: [], body: Array("username=\(spelling)".utf8)) == .several)
        #expect(AccountName.normalised(Array(spelling.utf8)) == nil)
    }

    @Test(arguments: ["山田", "が", "김", "سارة", "\u{622}", "דוד", "สมชาย", "प्रिया", "иван", "σ", "ひろ", "ツ", "ærø"])
    func `is one in every script`(_ name: String) {
        #expect(AccountName.normalised(Array(name.utf8)) != nil)
    }

    @Test func `is one for Thai AM, and for letters with a dot below`() {
        #expect(AccountName.normalised(Array("น้ำ".utf8)) != nil)
        let two = ["\u{95c}", "\u{921}\u{93c}"].map { AccountName.normalised(Array($0.utf8)) }
        #expect(two[0] != nil && two[0] == two[1])
    }
}
