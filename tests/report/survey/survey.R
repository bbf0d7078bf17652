# Estimates of R's package `survey` from sample.csv, as JSON: Rscript survey.R FOLDER
suppressPackageStartupMessages(library(survey))
options(digits = 17, survey.lonely.psu = "adjust", survey.adjust.domain.lonely = FALSE)
folder <- commandArgs(trailingOnly = TRUE)[1]
sample <- read.csv(file.path(folder, "sample.csv"))
out <- list()
keep <- function(name, value, error) out[[name]] <<- c(value, error)
ratio <- function(name, design) {
  found <- svyratio(~y, ~x, design)
  keep(name, coef(found), SE(found))
}
stations <- svydesign(ids = ~1, strata = ~stratum, weights = ~weight, fpc = ~registered,
                      data = sample)
ratio("stations", stations)
ratio("domain", subset(stations, domain == 1))
clusters <- svydesign(ids = ~cluster, strata = ~stratum, weights = ~weight,
                      fpc = ~clusters, data = sample, nest = TRUE)
ratio("clusters", clusters)
ratio("clusters_domain", subset(clusters, domain == 1))
simple <- svydesign(ids = ~1, weights = ~one, data = sample)
ratio("simple", simple)
lonely <- svydesign(ids = ~1, strata = ~stratum, weights = ~weight, fpc = ~registered,
                    data = subset(sample, lonely == 1))
ratio("lonely", lonely)
# The difference of two ratios at the same stations.
both <- svyratio(~y + second_y, ~x + second_x, simple, covmat = TRUE)
difference <- svycontrast(both, c(-1, 0, 0, 1))
keep("paired", coef(difference), SE(difference))
# Few events: Korn and Graubard's interval of a share.
few <- svyciprop(~event, stations, method = "beta")
keep("few", attr(few, "ci")[1], attr(few, "ci")[2])
# Woodruff: the share at the median, its error, and the values at the ends.
bins <- c(10, 20, 30, 50, 75, 100)
median <- svyquantile(~value, stations, 0.5, ci = FALSE, qrule = "math")$value[1]
share <- svymean(~I(value <= median), stations)
half <- qt(0.975, degf(stations)) * SE(share)[2]
ends <- svyquantile(~value, stations, c(0.5 - half, 0.5 + half), ci = FALSE,
                    qrule = "math")$value
keep("share", coef(share)[2], SE(share)[2])
keep("median", median, degf(stations))
keep("woodruff", ends[1], ends[2])
number <- function(x) formatC(x, digits = 17, format = "g")
lines <- sapply(names(out), function(n)
  sprintf(' "%s": [%s, %s]', n, number(out[[n]][1]), number(out[[n]][2])))
cat("{\n", paste(lines, collapse = ",\n"), "\n}\n", sep = "")
