"""What the rows of a file mean; pure.

The way of a file, as a service uses it (`reading` does all I/O):

1. `reading.take_sample(path)` refuses what is no table or would burst, and returns a `Sample`.
2. `detection.detect(sample, answers)` says in a `Detected` what the file seems to be, what each finding was
   told from, and what only a person can say; or that it holds no sales (`refusal`).
3. `plans.make_plan(detected, answers)` makes the `Plan`, which is JSON and is remembered by its
   `fingerprint`: `plans.remembered_for(plan, detected)` is that plan for the next such file.
4. `preview.preview(rows, plan)` shows the first rows as they will be understood.
5. `reader = sales.SalesReader(plan, reading.DiskSpool)`; `reader.take(reading.open_rows(path, plan.layout))`
   yields a `RowError` for each row that is left out, then `reader.sales()` yields a `FileSale` for each
   order, day by day from the oldest. Rows of one order need not be adjacent: they meet in the spool, and
   memory holds a day's part at most. After that `reader.totals` and `reader.notices` are complete.
6. `giving_out.errors_csv(errors)` is what people download.
"""
