/// A day of the Gregorian calendar, counted from 1970-01-01 (day 0).
struct CivilDate: Hashable, Sendable {
  let dayNumber: Int
  let year: Int
  let month: Int
  let day: Int

  /// The era arithmetic of Howard Hinnant's `civil_from_days`, good for any date a schedule can meet.
  init(dayNumber: Int) {
    self.dayNumber = dayNumber
    let shifted = dayNumber + 719_468
    let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
    let dayOfEra = shifted - era * 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let shiftedMonth = (5 * dayOfYear + 2) / 153
    day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
    month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
    year = era * 400 + yearOfEra + (month <= 2 ? 1 : 0)
  }

  /// Sunday is 0; 1970-01-01 was a Thursday.
  var weekday: Int { ((dayNumber + 4) % 7 + 7) % 7 }
}
