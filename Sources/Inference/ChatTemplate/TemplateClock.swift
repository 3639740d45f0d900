/// Times as `strftime` writes them, in UTC and in English: what a template says about today must not depend on where it
/// runs.
struct TemplateClock {
  private let year: Int, month: Int, day: Int
  private let hour: Int, minute: Int, second: Int
  /// From 0 for Sunday.
  private let weekday: Int
  /// From 1.
  private let dayOfYear: Int

  /// - Parameter seconds: since 1970; years 1 to 9999 are told.
  init?(secondsSince1970 seconds: Int64) {
    guard (-62_135_596_800..<253_402_300_800).contains(seconds) else { return nil }
    let days = Int((seconds - ((seconds % 86400) + 86400) % 86400) / 86400)
    let rest = Int(((seconds % 86400) + 86400) % 86400)
    (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60)
    weekday = ((days + 4) % 7 + 7) % 7
    // The Gregorian calendar repeats itself every 146,097 days; years begin in March here, so that leap days end them.
    let shifted = days + 719_468
    let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
    let dayOfEra = shifted - era * 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146_096) / 365
    let dayFromMarch = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let monthFromMarch = (5 * dayFromMarch + 2) / 153
    day = dayFromMarch - (153 * monthFromMarch + 2) / 5 + 1
    month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
    year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
    dayOfYear = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334][month - 1] + day + (leap && month > 2 ? 1 : 0)
  }

  private static let months = [
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
  ]
  private static let weekdays = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"]

  /// Throws for a directive that is not known.
  func text(_ format: String) throws(TemplateError) -> String {
    var result = ""
    var scalars = format.unicodeScalars[...]
    while let scalar = scalars.popFirst() {
      guard scalar == "%", var directive = scalars.popFirst() else {
        result.unicodeScalars.append(scalar)
        continue
      }
      var pads = true
      if directive == "-", let next = scalars.popFirst() { (pads, directive) = (false, next) }
      result += try text(directive, pads: pads)
    }
    return result
  }

  private func text(_ directive: Unicode.Scalar, pads: Bool) throws(TemplateError) -> String {
    func number(_ value: Int, _ digits: Int, _ pad: String = "0") -> String {
      let text = String(value)
      return pads ? String(repeating: pad, count: max(0, digits - text.utf8.count)) + text : text
    }
    let twelve = hour % 12 == 0 ? 12 : hour % 12
    switch directive {
    case "Y": return String(year)
    case "y": return number(year % 100, 2)
    case "m": return number(month, 2)
    case "d": return number(day, 2)
    case "e": return number(day, 2, " ")
    case "j": return number(dayOfYear, 3)
    case "H": return number(hour, 2)
    case "I": return number(twelve, 2)
    case "M": return number(minute, 2)
    case "S": return number(second, 2)
    case "p": return hour < 12 ? "AM" : "PM"
    case "B": return Self.months[month - 1]
    case "b", "h": return String(Self.months[month - 1].prefix(3))
    case "A": return Self.weekdays[weekday]
    case "a": return String(Self.weekdays[weekday].prefix(3))
    case "w": return String(weekday)
    case "u": return String(weekday == 0 ? 7 : weekday)
    case "F": return try text("%Y-%m-%d")
    case "T": return try text("%H:%M:%S")
    case "R": return try text("%H:%M")
    case "D": return try text("%m/%d/%y")
    case "z": return "+0000"
    case "Z": return "UTC"
    case "n": return "\n"
    case "t": return "\t"
    case "%": return "%"
    default: throw TemplateError(.evaluation, "`strftime_now` does not know this directive")
    }
  }
}
