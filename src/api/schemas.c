/* SPDX-License-Identifier: Apache-2.0
 * schemas.c: what the API's answers look like, as JSON Schema, for /openapi.json. */
#include "api/inside.h"

const struct schema schemas[] = {
	{"job",
     "{'type':'object','properties':{'id':{'type':'integer'},'name':{'type':['string','null']},'project':{'type"
     "':['string','null']},'user':{'type':['string','null']},'state':{'type':'string','enum':['new','queued','s"
     "tage_in','active','stage_out','cleanup','completed','failed','canceled','unknown']},'reason':{'type':['ob"
     "ject','null'],'properties':{'code':{'type':'string'},'text':{'type':['string','null']}}},'num_nodes':{'ty"
     "pe':'integer'},'centre':{'type':['string','null']},'simulated':{'type':'boolean'},'kind':{'type':['string"
     "','null']},'placement':{'type':'array','items':{'type':'object','properties':{'centre':{'type':'string'},"
     "'node':{'type':'string'},'count':{'type':'number'},'cards':{'type':['array','null'],'items':{'type':'inte"
     "ger'}}}}},'priority':{'type':'integer'},'time_limit_s':{'type':['number','null']},'depends_on':{'type':'a"
     "rray','items':{'type':'object','properties':{'job':{'type':'integer'},'when':{'type':'string'}}}},'array'"
     ":{'type':['object','null'],'properties':{'ranges':{'type':'string'},'count':{'type':'integer'},'placed':{"
     "'type':'integer'},'live':{'type':'integer'},'over':{'type':'integer'},'failed':{'type':'integer'},'parall"
     "el_max':{'type':'integer'}}},'array_id':{'type':['integer','null']},'array_index':{'type':['integer','nul"
     "l']},'submitted_at':{'type':['string','null']},'eligible_at':{'type':['string','null']},'begin_at':{'type"
     "':['string','null']},'placed_at':{'type':['string','null']},'lent_until':{'type':['string','null']},'started_at':{'type':['string','null']},'ende"
     "d_at':{'type':['string','null']},'reservation':{'type':['object','null'],'properties':{'start_at':{'type'"
     ":['string','null']},'cause':{'type':'string'},'preempts':{'type':'array','items':{'type':'integer'}}}},'a"
     "ttained_card_s':{'type':'number'},'done_s':{'type':'number'},'exit_code':{'type':['integer','null']},'exi"
     "t_rank':{'type':['integer','null']},'cause':{'type':['string','null']},'attempt':{'type':'integer'},'nati"
     "ve_id':{'type':['string','null']},'native_state':{'type':['string','null']},'note':{'type':['string','nul"
     "l']},'warnings':{'type':'array','items':{'type':'string'}}}}"},
	{"jobs", "{'type':'object','properties':{'jobs':{'type':'array','items':{'$ref':'#/components/schemas/job'}},'next'"
             ":{'type':['string','null']}}}"},
	{"problem", "{'type':'object','properties':{'type':{'type':'string'},'title':{'type':'string'},'status':{'type':'integ"
                "er'},'detail':{'type':['string','null']},'field':{'type':['string','null']},'line':{'type':['integer','nu"
                "ll']}}}"},
	{"explanation",
     "{'type':'object','properties':{'job':{'type':'integer'},'state':{'type':'string'},'reason':{'type':['stri"
     "ng','null']},'text':{'type':['string','null']},'blocker':{'type':['integer','null']},'kind':{'type':['str"
     "ing','null']},'centre':{'type':['string','null']},'need_nodes':{'type':'integer'},'free_nodes':{'type':'i"
     "nteger'},'free_cards':{'type':'number'},'total_cards':{'type':'number'},'ahead':{'type':'integer'},'expec"
     "ted_start_at':{'type':['string','null']},'expected_start_low_at':{'type':['string','null']},'expected_start_hi"
     "gh_at':{'type':['string','null']},'quota':{'type':['object','null']},'booking':{'type':['integer','null']"
     "},'ahead_jobs':{'type':'array','items':{'type':'object'}},'holders':{'type':'array','items':{'type':'obje"
     "ct'}},'change':{'type':['object','null']},'change_text':{'type':['string','null']},'reservation':{'type':['object','null'],'properties':{'start_at'"
     ":{'type':['string','null']},'cause':{'type':'string'},'preempts':{'type':'array','items':{'type':'integer"
     "'}}}}}}"},
	{"pool", "{'type':'object','properties':{'name':{'type':'string'},'currency':{'type':['string','null']},'sequence':"
             "{'type':'integer'},'state_digest':{'type':'string'},'now':{'type':'string'},'cards':{'type':'integer'},'f"
             "ree_cards':{'type':'number'},'kinds':{'type':'array','items':{'type':'object','properties':{'kind':{'type"
             "':'string'},'vendor':{'type':['string','null']},'class':{'type':'string'},'cards':{'type':'integer'},'fre"
             "e_cards':{'type':'number'},'allocated_cards':{'type':'number'},'compute':{'type':'array','items':{'type':"
             "'object','properties':{'precision':{'type':'string'},'pflops':{'type':'number'},'basis':{'type':'string'}"
             ",'source':{'type':['string','null']}}}}}}},'centres':{'type':'integer'},'simulated_cards':{'type':'intege"
             "r'},'nodes':{'type':'integer'},'jobs':{'type':'object','additionalProperties':{'type':'integer'}},'warnin"
             "gs':{'type':'array','items':{'type':'string'}}}}"},
	{"centres", "{'type':'object','properties':{'centres':{'type':'array','items':{'type':'object','properties':{'name':{'"
                "type':'string'},'region':{'type':['string','null']},'location':{'type':['array','null'],'items':{'type':'"
                "number'}},'engine':{'type':'string'},'simulated':{'type':'boolean'},'capabilities':{'type':'array','items"
                "':{'type':'string'}},'at_least_once':{'type':'boolean'},'silent':{'type':'boolean'},'nodes':{'type':'inte"
                "ger'},'cards':{'type':'integer'},'free_cards':{'type':'number'},'kinds':{'type':'array','items':{'type':'"
                "object','properties':{'kind':{'type':'string'},'cards':{'type':'integer'},'free_cards':{'type':'number'},"
                "'price_per_card_hour':{'type':['number','null']}}}},'pue':{'type':['number','null']}}}}}}"},
	{"nodes", "{'type':'object','properties':{'nodes':{'type':'array','items':{'type':'object','properties':{'centre':{'"
              "type':'string'},'node':{'type':'string'},'kind':{'type':['string','null']},'cards':{'type':'integer'},'fr"
              "ee_cards':{'type':'number'},'cpus':{'type':['number','null']},'free_cpus':{'type':['number','null']},'mem"
              "ory_gib':{'type':['number','null']},'free_memory_gib':{'type':['number','null']},'rack':{'type':'integer'"
              "},'pod':{'type':'integer'},'state':{'type':'string','enum':['up','cordoned','down']},'note':{'type':['str"
              "ing','null']},'booking':{'oneOf':[{'$ref':'#/components/schemas/booking'},{'type':'null'}]}}}},'next':{'t"
              "ype':['string','null']}}}"},
	{"node_state", "{'type':'object','properties':{'centre':{'type':'string'},'nodes':{'type':'string'},'state':{'type':'stri"
                   "ng','enum':['up','cordoned','down']},'note':{'type':['string','null']}}}"},
	{"cards", "{'type':'object','properties':{'cards':{'type':'array','items':{'type':'object','properties':{'centre':{'"
              "type':'string'},'node':{'type':'string'},'card':{'type':'integer'},'kind':{'type':'string'},'free':{'type"
              "':'number'},'jobs':{'type':'array','items':{'type':'integer'}}}}},'next':{'type':['string','null']}}}"},
	{"links", "{'type':'object','properties':{'links':{'type':'array','items':{'type':'object','properties':{'name':{'ty"
              "pe':'string'},'ends':{'type':'array','items':{'type':'string'}},'gbps':{'type':'number'},'latency_us':{'t"
              "ype':'integer'},'price_per_tib':{'type':'number'}}}}}}"},
	{"projects", "{'type':'object','properties':{'projects':{'type':'array','items':{'type':'object','properties':{'name':{"
                 "'type':'string'},'parent':{'type':['string','null']},'weight':{'type':'number'},'share':{'type':['number'"
                 ",'null']},'cohort':{'type':['string','null']},'held':{'type':'array','items':{'type':'object','properties"
                 "':{'kind':{'type':'string'},'cards':{'type':'number'},'used_card_hours':{'type':'number'}}}},'quotas':{'t"
                 "ype':'array','items':{'type':'object','properties':{'kind':{'type':'string'},'nominal_quota':{'type':['nu"
                 "mber','null']},'borrowing_limit':{'type':['number','null']},'lending_limit':{'type':['number','null']},'u"
                 "sed':{'type':'number'},'borrowed':{'type':'number'},'may_borrow':{'type':'number'},'lent':{'type':'number"
                 "'},'cohort_used':{'type':'number'},'cohort_nominal':{'type':'number'}}}},'jobs_queued':{'type':'integer'}"
                 ",'jobs_active':{'type':'integer'},'cards_in_use':{'type':'number'}}}}}}"},
	{"booking", "{'type':'object','properties':{'id':{'type':'integer'},'name':{'type':'string'},'project':{'type':['strin"
                "g','null']},'centre':{'type':'string'},'nodes':{'type':'string'},'from':{'type':'string'},'until':{'type'"
                ":['string','null']}}}"},
	{"bookings", "{'type':'object','properties':{'bookings':{'type':'array','items':{'$ref':'#/components/schemas/booking'}"
                 "}}}"},
	{"unbooked", "{'type':'object','properties':{'id':{'type':'integer'}}}"},
};

const unsigned n_schemas = sizeof schemas / sizeof *schemas;
