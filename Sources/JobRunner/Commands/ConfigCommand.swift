import ArgumentParser
import Client
import Foundation

/// `ephemeral config`.
struct ConfigCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "config", abstract: "What is set, and by whom.", subcommands: [Show.self])

  struct Show: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Each setting, its value, and who set it: flag, environment, file and line, or default.",
      discussion: """
        Of the client without --daemon. With it, of the daemon as it would start here, with this environment:
          ephemeral config show --daemon --config /etc/ephemeral/daemon.yaml

        A value that is secret is never shown, and of a worker's start command only the names of its environment.
        """)

    @Flag(help: "The daemon's settings.") var daemon = false
    @Option(help: ArgumentHelp("The daemon's configuration file (default: $EPHEMERAL_CONFIG).", valueName: "file"))
    var config: String?
    @Option(name: .customLong("set"), help: "With --daemon: any key, as KEY=VALUE.") var settings: [String] = []
    @OptionGroup var client: ClientOptions

    func validate() throws {
      guard daemon || (config == nil && settings.isEmpty) else {
        throw ValidationError("--config and --set are the daemon's: add --daemon.")
      }
    }

    func run() throws {
      let rows = daemon ? try daemonRows() : try clientRows()
      let screen = Screen(json: client.json)
      screen.line(
        .object([
          (
            "settings",
            .array(
              rows.map {
                .object([
                  ("key", .text($0.key)), ("value", .optional($0.value)), ("origin", .text($0.origin.word)),
                  ("where", .text("\($0.origin)")),
                ])
              })
          )
        ]))
      let widths = (rows.map(\.key.count).max() ?? 0, min(60, rows.map { ($0.value ?? "-").count }.max() ?? 0))
      for row in rows {
        screen.out(
          Screen.padded(row.key, widths.0 + 2)
            + Screen.padded(Shown.printable(row.value ?? "-", limit: 1000), widths.1 + 2) + "\(row.origin)")
      }
    }

    private func daemonRows() throws -> [ConfigurationRow] {
      let environment = ProcessInfo.processInfo.environment
      let values = try ConfigurationValues(
        flags: client.store.map { [ConfigurationKey.store.name: $0] } ?? [:], settings: settings,
        environment: environment, file: try DaemonFlags.file(config, environment))
      return values.rows
    }

    private func clientRows() throws -> [ConfigurationRow] {
      let environment = ProcessInfo.processInfo.environment
      let home = try client.home.map { ClientHome(path: $0) } ?? ClientHome(environment: environment)
      let layers = try ClientSettings.layers(
        flags: ClientSettings(store: client.store, profile: client.profile), environment: environment,
        projectDirectory: ".", home: home)
      let homeOrigin: ConfigurationOrigin =
        client.home != nil
        ? .flag("--home") : environment["EPHEMERAL_HOME"] != nil ? .environment("EPHEMERAL_HOME") : .fallback
      let settings: [(String, KeyPath<ClientSettings, String?>)] = [
        ("store", \.store), ("profile", \.profile), ("model", \.model), ("tenant", \.tenant),
        ("precision", \.precision),
      ]
      return [ConfigurationRow(key: "home", value: home.path, origin: homeOrigin)]
        + settings.map { name, path in
          let found = layers.first { $0.settings[keyPath: path] != nil }
          let origin: ConfigurationOrigin =
            switch found?.place {
            case .flag: .flag("--\(name)")
            case .environment: .environment("EPHEMERAL_\(name.uppercased())")
            case .file(let path): .file(path, line: Self.line(of: name, in: path))
            case nil: .fallback
            }
          return ConfigurationRow(key: name, value: found?.settings[keyPath: path], origin: origin)
        }
    }

    /// Where a key stands in a file that was read without complaint.
    private static func line(of key: String, in path: String) -> Int {
      let text = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
      let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
      return (lines.firstIndex { $0.hasPrefix("\(key):") } ?? 0) + 1
    }
  }
}
