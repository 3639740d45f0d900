import Crypto
import Foundation

/// The status page's one style sheet, in the page itself. The content policy names it by its digest, and allows no other.
enum StatusStyle {
  /// `'sha256-…'`, for `style-src`.
  static let source = "'sha256-\(Data(SHA256.hash(data: Data(css.utf8))).base64EncodedString())'"

  /// Colours come in pairs whose contrast is 4.5:1 or more, in both schemes.
  static let css = """
    :root {
      color-scheme: light dark;
      --back: #f5f6f8; --card: #fff; --line: #dfe3e8; --soft: #eef0f3; --text: #1b2430; --quiet: #566272;
      --good: #0b6b3a; --good-back: #e2f4e9; --bad: #a61b1b; --bad-back: #fdebea; --warn: #7a4b00; --warn-back: #fff2d6;
      --busy: #1d4f91; --busy-back: #e5effb;
    }
    @media (prefers-color-scheme: dark) {
      :root {
        --back: #0f141a; --card: #171e26; --line: #2a343f; --soft: #202933; --text: #e6ebf1; --quiet: #9daab9;
        --good: #6fdc9f; --good-back: #12301f; --bad: #ff9c96; --bad-back: #3b1719; --warn: #f5c262; --warn-back: #35280e;
        --busy: #8ebcf5; --busy-back: #142b47;
      }
    }
    * { box-sizing: border-box; }
    body {
      margin: 0; background: var(--back); color: var(--text);
      font: 15px/1.45 system-ui, "Segoe UI", "Liberation Sans", "DejaVu Sans", sans-serif;
    }
    .frame { max-width: 1120px; margin: 0 auto; padding: 24px 20px 40px; }
    header { display: flex; flex-wrap: wrap; align-items: center; gap: 8px 16px; margin-bottom: 16px; }
    h1 { font-size: 22px; line-height: 1.2; margin: 0; letter-spacing: -.01em; }
    h1 span { color: var(--quiet); font-weight: 400; }
    small, .quiet { color: var(--quiet); }
    small { font-size: 13px; white-space: nowrap; font-weight: 400; }
    time { white-space: nowrap; }
    .taken { margin-left: auto; color: var(--quiet); font-size: 13px; }
    code, .mono { font: 13px/1.4 ui-monospace, "Liberation Mono", "DejaVu Sans Mono", monospace; }
    .pill {
      display: inline-block; padding: 2px 10px; border-radius: 999px; font-size: 13px; font-weight: 600; white-space: nowrap;
      background: var(--soft); color: var(--quiet);
    }
    .good { background: var(--good-back); color: var(--good); }
    .bad { background: var(--bad-back); color: var(--bad); }
    .warn { background: var(--warn-back); color: var(--warn); }
    .busy { background: var(--busy-back); color: var(--busy); }
    .notice { border-radius: 10px; padding: 12px 16px; margin: 0 0 16px; border: 1px solid currentColor; }
    .notice ul { margin: 6px 0 0; padding-left: 20px; }
    .notice strong { font-weight: 650; }
    .facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(190px, 1fr)); gap: 12px 24px; margin: 0 0 16px; }
    .facts dt { color: var(--quiet); font-size: 13px; }
    .facts dd { margin: 0; overflow-wrap: anywhere; }
    .tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(130px, 1fr)); gap: 12px; margin: 0 0 16px; padding: 0; }
    .tiles li { list-style: none; background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 10px 14px; }
    .tiles b {
      display: block; font-size: 22px; line-height: 1.3; font-weight: 650; font-variant-numeric: tabular-nums; white-space: nowrap;
    }
    .tiles span { color: var(--quiet); font-size: 13px; }
    .tiles .alarm { border-color: var(--bad); } .tiles .alarm b { color: var(--bad); }
    section, .facts { background: var(--card); border: 1px solid var(--line); border-radius: 10px; }
    .facts { padding: 14px 16px; }
    section { margin: 0 0 16px; overflow-x: auto; }
    table { border-collapse: collapse; width: 100%; }
    caption { text-align: left; font-weight: 650; font-size: 16px; padding: 12px 16px 8px; }
    caption small { font-weight: 400; margin-left: 6px; }
    th, td { text-align: left; padding: 8px 16px; border-top: 1px solid var(--line); vertical-align: baseline; }
    thead th { color: var(--quiet); font-size: 13px; font-weight: 600; border-top: 0; padding-top: 2px; white-space: nowrap; }
    tbody th { font-weight: 600; overflow-wrap: anywhere; min-width: 19ch; }
    .none { white-space: nowrap; }
    .number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
    .zero, .none { color: var(--quiet); }
    td.alarm { color: var(--bad); font-weight: 650; }
    .note { display: block; color: var(--quiet); font-size: 13px; font-weight: 400; overflow-wrap: anywhere; max-width: 62ch; }
    footer { color: var(--quiet); font-size: 13px; }
    a { color: var(--busy); }
    @media (max-width: 640px) {
      .frame { padding: 16px 12px 32px; }
      body { font-size: 14px; }
      th, td { padding-left: 6px; padding-right: 6px; } th:first-child, caption { padding-left: 12px; }
      td:last-child, th:last-child { padding-right: 12px; }
      time { white-space: normal; }
      th.mono { font-size: 12px; }
      .wide { display: none; }
      td small, .facts small { display: block; }
      tbody th { min-width: 12ch; } tbody th.mono { min-width: 14ch; }
      .taken { margin-left: 0; }
    }
    @media print { body { background: #fff; } section { break-inside: avoid; } }
    """
}
