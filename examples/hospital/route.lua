-- Orthanc: series that have come to rest go to the listener of on-study.sh; results, which come back, do not go round again.
local results = { SEG = true, SR = true, OT = true }

function OnStableSeries(id, tags, metadata)
  if not results[tags['Modality']] then
    RestApiPost('/modalities/cover/store', id)
  end
end
