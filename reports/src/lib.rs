//! Papers: receipts, statements and reports as PDF, made of plain texts and tables. Knows nothing of clinics, money or
//! languages: whoever asks has written every word already. Pure: no file, clock or socket; the same input gives the same
//! bytes.
