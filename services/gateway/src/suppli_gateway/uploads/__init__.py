"""Files of sales: their way to the upload service, and the tills that they fill."""
